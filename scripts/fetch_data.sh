#!/usr/bin/env bash
# Fetches a data set into the folder where bntrain looks for data, checks its SHA-256 digests and says how to use it. What
# is there and right is not fetched again; a download that broke off goes on where it stopped.
# usage: scripts/fetch_data.sh fashion-mnist|mnist|kmnist [--from URL] [--to DIR]
#   --from URL  a folder with the four gzip files (http, https, file) instead of the data set's home
#   --to DIR    instead of bntrain's cache: $XDG_CACHE_HOME/bntrain or ~/.cache/bntrain
# Exit codes: 0 done, 1 a file cannot be fetched, 2 usage, 3 what was fetched is not the published file.
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }

files=(train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte)
say() { printf 'fetch_data: %s\n' "$@" >&2; }
usage() {
  say "$1" 'usage: scripts/fetch_data.sh fashion-mnist|mnist|kmnist [--from URL] [--to DIR]'
  exit 2
}

# The digests of the files as they were published, then of what they decode to (mirrors compress anew).
data=${1-}
case $data in
  fashion-mnist)  # Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747
    home=http://fashion-mnist.s3-website.eu-central-1.amazonaws.com folder=
    published=(3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84
               a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845
               346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073
               67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5)
    decoded=(c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888
             bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9
             5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b
             0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34) ;;
  mnist)  # LeCun, Cortes, Burges 1998; its first home refuses downloads, this is the mirror that torchvision asks
    home=https://ossci-datasets.s3.amazonaws.com/mnist folder=/mnist
    published=(440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609
               3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c
               8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6
               f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6)
    decoded=(ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
             65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
             0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
             ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2) ;;
  kmnist)  # Clanuwat and others 2018, arXiv 1812.01718; only the digests of the files as published are known
    home=http://codh.rois.ac.jp/kmnist/dataset/kmnist folder=/kmnist
    published=(51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4
               e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17
               edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5
               20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c)
    decoded=(- - - -) ;;
  '') usage 'which data set?' ;;
  *) usage "unknown data set '$data'" ;;
esac
shift

# The XDG base directory specification: a relative path is to be ignored. As bntrain itself does.
cache=${XDG_CACHE_HOME-}
[[ $cache == /* ]] || cache=${HOME:?neither XDG_CACHE_HOME nor HOME names a folder: use --to DIR}/.cache
to=$cache/bntrain$folder
while (($#)); do
  [[ $1 != --from && $1 != --to ]] || [[ ${2-} ]] || usage "$1 needs a value"
  case $1 in
    --from) home=$2 ;;
    --to) to=$2 ;;
    *) usage "unexpected argument '$1'" ;;
  esac
  shift 2
done

digest() { sha256sum | cut -d' ' -f1; }
is_right() {  # FILE INDEX
  [[ -f $1 ]] || return 1
  [[ $(digest <"$1") == "${published[$2]}" || $(gzip -dc "$1" 2>/dev/null | digest) == "${decoded[$2]}" ]]
}
# Curl's exit codes: 22 the server refuses, also a range that begins at the file's end; 33 it knows no ranges.
download() {  # URL FILE: goes on behind what FILE holds
  local rc=0
  curl --fail --location --silent --show-error --retry 3 --connect-timeout 20 --continue-at - --output "$2" "$1" || rc=$?
  if [[ ($rc == 22 || $rc == 33) && -s $2 ]]; then
    rm "$2"
    download "$@"
    return
  fi
  return $rc
}
fetch() {  # URL FILE INDEX
  is_right "$2" "$3" || download "$1" "$2" || {
    say "$1 cannot be fetched; what came so far is kept, and the same command goes on from there" \
      'another copy of the data set: --from URL'
    exit 1
  }
}

type -P curl >/dev/null || "${BASH_SOURCE[0]%/*}/setup.sh" curl
mkdir -p "$to"
for i in "${!files[@]}"; do
  file=$to/${files[i]}.gz url=${home%/}/${files[i]}.gz
  is_right "$file" "$i" && continue
  resumed=
  [[ ! -s $file.part ]] || resumed=yes
  say "$url"
  fetch "$url" "$file.part" "$i"
  if ! is_right "$file.part" "$i" && [[ $resumed ]]; then  # what an older download left may not fit the rest
    rm "$file.part"
    fetch "$url" "$file.part" "$i"
  fi
  is_right "$file.part" "$i" || {
    say "$url is not the published ${files[i]}.gz of $data: SHA-256 $(digest <"$file.part"), expected ${published[i]}"
    rm "$file.part"
    exit 3
  }
  mv "$file.part" "$file"
done
if [[ $data == fashion-mnist && $to == "$cache/bntrain" ]]; then
  say "$data is in $to, where bntrain finds it"
else
  say "$data is in $to: bntrain --data '$to'"
fi
