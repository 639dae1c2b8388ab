// Catches a library error in a test.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "bntrain/error.hpp"

namespace bntrain {

/// Runs `action`, which must throw Error of this kind; returns its message ("" and a failure otherwise).
template <class Action>
std::string error_message(ErrorKind kind, Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

}  // namespace bntrain
