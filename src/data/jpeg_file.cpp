#include "data/jpeg_file.hpp"

#include <stdio.h>  // jpeglib.h needs it

#include <jpeglib.h>

#include <jerror.h>  // its numbers depend on jpeglib.h

#include <algorithm>
#include <array>
#include <csetjmp>
#include <stdexcept>
#include <string>

#include "data/exif.hpp"

namespace bntrain {
namespace {

constexpr int most_scans = 500;         // a small file of endless scans takes hours
constexpr long most_memory = 1L << 30;  // of a progressive file's coefficients
constexpr std::array<std::uint8_t, 6> exif_start = {'E', 'x', 'i', 'f', 0, 0};

/// Whether pixels are missing or wrong after that warning.
bool loses_pixels(int code) {
  return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE ||
         code == JWRN_MUST_RESYNC;
}

/// libjpeg reports errors by a jump, over frames that own nothing: each step below is such a frame.
class JpegDecoder {
 public:
  explicit JpegDecoder(std::span<const std::uint8_t> bytes) : data_(bytes) {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) {
      JpegDecoder& self = of(info);
      info->err->format_message(info, self.problem_.data());
      std::longjmp(self.start_, 1);
    };
    errors_.emit_message = [](j_common_ptr info, int level) { of(info).on_message(info, level); };
    progress_.progress_monitor = [](j_common_ptr info) {
      if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > most_scans)
        ERREXIT(info, JERR_BAD_PROGRESSION);
    };
    step([](JpegDecoder& self) { jpeg_create_decompress(&self.info_); });
    info_.progress = &progress_;
    info_.mem->max_memory_to_use = most_memory;
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&info_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  void read_header() {
    step([](JpegDecoder& self) {
      jpeg_mem_src(&self.info_, self.data_.data(), static_cast<unsigned long>(self.data_.size()));
      jpeg_save_markers(&self.info_, JPEG_APP0 + 1, 0xffff);
      jpeg_read_header(&self.info_, TRUE);
    });
  }

  std::int64_t width() const { return info_.image_width; }
  std::int64_t height() const { return info_.image_height; }

  int orientation() const {
    for (jpeg_saved_marker_ptr marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      const std::span<const std::uint8_t> data(marker->data, marker->data_length);
      if (data.size() > exif_start.size() && std::equal(exif_start.begin(), exif_start.end(), data.begin()))
        return exif_orientation(data.subspan(exif_start.size()));
    }
    return 1;
  }

  Picture decode() {
    const bool print = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    info_.out_color_space = print ? JCS_CMYK : JCS_RGB;
    info_.dct_method = JDCT_ISLOW;
    info_.scale_num = info_.scale_denom = 1;
    while (info_.scale_denom < 8 &&
           width() * height() > max_decoded_pixels * info_.scale_denom * info_.scale_denom)
      info_.scale_denom *= 2;
    step([](JpegDecoder& self) { jpeg_start_decompress(&self.info_); });
    Picture picture{info_.output_width, info_.output_height, {}};
    row_.resize(static_cast<std::size_t>(picture.width) * (print ? 4 : 3));
    picture.rgb.reserve(static_cast<std::size_t>(3 * picture.width * picture.height));
    while (info_.output_scanline < info_.output_height) {
      step([](JpegDecoder& self) {
        JSAMPROW row = self.row_.data();
        jpeg_read_scanlines(&self.info_, &row, 1);
      });
      if (print)
        append_print(picture.rgb);
      else
        picture.rgb.insert(picture.rgb.end(), row_.begin(), row_.end());
    }
    step([](JpegDecoder& self) { jpeg_finish_decompress(&self.info_); });
    picture.warning = warning_.data();
    return picture;
  }

 private:
  static JpegDecoder& of(j_common_ptr info) { return *static_cast<JpegDecoder*>(info->client_data); }

  void step(void (*call)(JpegDecoder&)) {
    if (setjmp(start_) == 0) return call(*this);
    jpeg_abort_decompress(&info_);
    throw std::runtime_error(warned_ ? std::string(warning_.data()) + "; " + problem_.data()
                                     : problem_.data());
  }

  void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    if (loses_pixels(info->err->msg_code)) info->err->error_exit(info);
    if (!warned_) info->err->format_message(info, warning_.data());
    warned_ = true;
  }

  void append_print(std::vector<std::uint8_t>& rgb) const {
    for (std::size_t pixel = 0; pixel < row_.size(); pixel += 4)
      for (std::size_t c = 0; c < 3; ++c)
        rgb.push_back(static_cast<std::uint8_t>((row_[pixel + c] * row_[pixel + 3] + 127) / 255));
  }

  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf start_{};
  std::array<char, JMSG_LENGTH_MAX> problem_{}, warning_{};
  bool warned_ = false;
  std::span<const std::uint8_t> data_;
  std::vector<std::uint8_t> row_;
};

}  // namespace

Picture decode_jpeg(std::span<const std::uint8_t> bytes, const SizeCheck& check_size) {
  JpegDecoder decoder(bytes);
  decoder.read_header();
  check_size(decoder.width(), decoder.height());
  const int orientation = decoder.orientation();
  return upright(decoder.decode(), orientation);
}

}  // namespace bntrain
