// PNG and JPEG files, and what becomes of them.
#include "data/picture.hpp"

#include "fuzz_input.hpp"

using namespace bntrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(data, size);
  fuzz::read_or_refuse([&] {
    const Picture picture = read_picture(file.path());
    fuzz::expect(looks_like_picture(file.path()), "what does not look like a picture was read as one");
    fuzz::expect(picture.rgb.size() == static_cast<std::size_t>(3 * picture.width * picture.height),
                 "a picture holds other pixels than its size says");
    for (const std::int64_t channels : {1, 3}) {
      const Shape shape{channels, 5, 5};
      const auto input = as_input(picture, shape, channels == 1, file.path());
      fuzz::expect(input.size() == static_cast<std::size_t>(25 * channels), "an input of another size");
    }
  });
  return 0;
}
