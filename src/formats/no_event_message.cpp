// The build without protobuf.
#include "bntrain/error.hpp"
#include "formats/event_file.hpp"

namespace bntrain {

std::string serialized(const Event&) {
  throw Error(ErrorKind::runtime,
              "this bntrain was built without TensorBoard's event files; install protobuf-compiler and "
              "libprotobuf-dev (Debian's names) and build it again");
}

}  // namespace bntrain
