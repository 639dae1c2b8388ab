// IDX files, raw and gzip.
#include "data/idx.hpp"

#include "fuzz_input.hpp"

using namespace bntrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(data, size);
  for (const IdxKind kind : {IdxKind::labels, IdxKind::images}) {
    fuzz::read_or_refuse([&] {
      const IdxFile idx = read_idx(file.path(), kind);
      std::size_t promised = 1;
      for (const std::int64_t extent : idx.sizes) promised *= static_cast<std::size_t>(extent);
      fuzz::expect(idx.values.size() == promised, "a data set holds other values than its header says");
    });
  }
  return 0;
}
