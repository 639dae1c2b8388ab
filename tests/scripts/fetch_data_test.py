#!/usr/bin/python3
"""scripts/fetch_data.sh against a server on this machine that serves Fashion-MNIST, and breaks as servers do.

usage: fetch_data_test.py FETCH_DATA_SH FOLDER_WITH_FASHION_MNIST
"""
import http.server
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

SCRIPT, SOURCE = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
FILES = [f"{name}.gz" for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                   "t10k-labels-idx1-ubyte")]
IMAGES, LABELS = FILES[2:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, name = self.server, self.path.removeprefix("/mirror/")
        first = int(self.headers.get("Range", "bytes=0-")[6:-1])
        server.requests.append((name, first))
        content = server.content(name)
        if content is None:
            return self.send_error(404)
        if not server.ranges:
            first = 0
        if first and first >= len(content):
            return self.send_error(416)
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        try:
            self.wfile.write(content[first:server.breaks_at])
        except ConnectionError:
            pass  # a client that asked for a range and got the whole hangs up

    def log_message(self, *_):
        pass


class FetchData(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.requests, self.server.ranges, self.server.breaks_at = [], True, None
        self.server.content = lambda name: (SOURCE / name).read_bytes() if name in FILES else None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.folder = tempfile.TemporaryDirectory(prefix="a folder ")
        self.home = Path(self.folder.name)
        self.cache = self.home / ".cache/bntrain"

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def fetch(self, *arguments, rc=0):
        environment = {key: value for key, value in os.environ.items() if key != "XDG_CACHE_HOME"}
        url = f"http://127.0.0.1:{self.server.server_address[1]}/mirror"
        done = subprocess.run([SCRIPT, *(arguments or ("fashion-mnist", "--from", url))], capture_output=True,
                              text=True, env=environment | {"HOME": str(self.home), "no_proxy": "*"})
        self.assertEqual(done.returncode, rc, done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def names(self):
        return sorted(path.name for path in self.cache.iterdir())

    def requested(self):
        asked, self.server.requests = self.server.requests, []
        return asked

    def test_all_files_arrive_where_bntrain_looks_and_are_not_fetched_again(self):
        self.assertIn(f"fashion-mnist is in {self.cache}, where bntrain finds it", self.fetch())
        self.assertEqual(self.names(), sorted(FILES))
        for name in FILES:
            self.assertEqual((self.cache / name).read_bytes(), (SOURCE / name).read_bytes())
        self.assertEqual(self.requested(), [(name, 0) for name in FILES])
        self.fetch()
        self.assertEqual(self.requested(), [])

    def test_a_download_that_broke_off_goes_on_where_it_stopped(self):
        self.fetch()
        (self.cache / IMAGES).unlink()
        self.requested()
        self.server.breaks_at = 1000
        self.assertIn("goes on from there", self.fetch(rc=1))
        self.assertNotIn(IMAGES, self.names())
        self.server.breaks_at = None
        kept = (self.cache / f"{IMAGES}.part").stat().st_size
        self.assertGreaterEqual(kept, 1000)
        self.requested()
        self.fetch()
        self.assertEqual(self.requested(), [(IMAGES, kept)])
        self.assertEqual((self.cache / IMAGES).read_bytes(), (SOURCE / IMAGES).read_bytes())

    def test_a_download_that_ended_before_its_last_check_is_taken(self):
        self.fetch()
        (self.cache / IMAGES).rename(self.cache / f"{IMAGES}.part")
        self.requested()
        self.fetch()
        self.assertEqual(self.requested(), [])
        self.assertEqual(self.names(), sorted(FILES))

    def test_a_server_without_ranges_is_asked_from_the_start(self):
        self.fetch()
        (self.cache / IMAGES).rename(self.cache / f"{IMAGES}.part")
        os.truncate(self.cache / f"{IMAGES}.part", 1000)
        self.server.ranges = False
        self.fetch()
        self.assertEqual((self.cache / IMAGES).read_bytes(), (SOURCE / IMAGES).read_bytes())

    def test_the_beginning_of_another_file_is_given_up(self):
        self.fetch()
        (self.cache / IMAGES).unlink()
        (self.cache / f"{IMAGES}.part").write_bytes(b"something else")
        self.fetch()
        self.assertEqual((self.cache / IMAGES).read_bytes(), (SOURCE / IMAGES).read_bytes())

    def test_what_is_not_the_published_file_is_refused_and_not_kept(self):
        def damaged(name):
            content = bytearray((SOURCE / name).read_bytes())
            content[len(content) // 2] ^= name == LABELS
            return bytes(content)

        self.server.content = damaged
        self.assertIn(f"{LABELS} is not the published {LABELS} of fashion-mnist: SHA-256 ", self.fetch(rc=3))
        self.assertEqual(self.names(), sorted(FILES[:3]))

    def test_a_damaged_file_in_the_cache_is_replaced(self):
        self.fetch()
        (self.cache / LABELS).write_bytes(b"damaged")
        self.fetch()
        self.assertEqual((self.cache / LABELS).read_bytes(), (SOURCE / LABELS).read_bytes())

    def test_another_data_set_under_the_same_names_is_refused(self):
        url = SOURCE.as_uri()
        for name in ("mnist", "kmnist"):
            self.assertIn(f"of {name}: SHA-256 ", self.fetch(name, "--from", url, rc=3))
            self.assertEqual(list((self.cache / name).iterdir()), [])

    def test_a_folder_of_ones_own(self):
        to = self.home / "data"
        said = self.fetch("fashion-mnist", "--to", str(to), "--from", SOURCE.as_uri())
        self.assertIn(f"bntrain --data '{to}'", said)
        self.assertEqual(sorted(path.name for path in to.iterdir()), sorted(FILES))

    def test_what_cannot_be_fetched_is_named(self):
        self.server.content = lambda name: None
        self.assertIn(f"/mirror/{FILES[0]} cannot be fetched", self.fetch(rc=1))

    def test_usage(self):
        for arguments, says in ((("cifar",), "unknown data set 'cifar'"), (("mnist", "--to"), "--to needs a value"),
                                (("mnist", "now"), "unexpected argument 'now'"), (("",), "which data set?")):
            self.assertIn(says, self.fetch(*arguments, rc=2))


if __name__ == "__main__":
    unittest.main()
