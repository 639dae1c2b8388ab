// Two devices side by side: every step is made by both from the same state and compared.
#pragma once

#include <memory>

#include "bntrain/backend.hpp"

namespace bntrain {

/// A backend whose results are `reference`'s, bit for bit. Every step that `judged` makes otherwise throws
/// Error(runtime), which names the step, the tensor, the distance, its bound and both variants. Training
/// amplifies rounding, so `judged` is given the state of `reference` before each step.
std::unique_ptr<Backend> make_check_backend(std::unique_ptr<Backend> reference,
                                            std::unique_ptr<Backend> judged);

}  // namespace bntrain
