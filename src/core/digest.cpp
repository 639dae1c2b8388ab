#include "core/digest.hpp"

#include <openssl/evp.h>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

void check(int status) {
  // A FIPS-only or broken OpenSSL set-up: nothing about the data is wrong.
  if (status != 1) throw Error(ErrorKind::runtime, "OpenSSL cannot compute SHA-256 on this machine");
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check(context_ ? 1 : 0);
  check(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256::update(const std::uint8_t* bytes, std::size_t size) {
  check(EVP_DigestUpdate(context_.get(), bytes, size));
}

void Sha256::update(std::string_view text) {
  check(EVP_DigestUpdate(context_.get(), text.data(), text.size()));
}

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  check(EVP_DigestFinal_ex(context_.get(), digest, &length));
  std::string text;
  for (unsigned int i = 0; i < length; ++i) {
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

}  // namespace bntrain
