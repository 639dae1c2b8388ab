// The build without the ONNX library.
#include "bntrain/error.hpp"
#include "formats/onnx.hpp"

namespace bntrain {

void write_onnx(const std::filesystem::path& path, const Network&, const ModelState&, double,
                const std::map<std::string, std::string>&, std::int64_t) {
  throw Error(ErrorKind::runtime, path.string() +
                                      ": this bntrain was built without ONNX; install libonnx-dev and "
                                      "libprotobuf-dev (Debian's names) and build it again");
}

}  // namespace bntrain
