// The tensors of other programs' files under the names of a network.
#pragma once

#include <string>
#include <vector>

#include "bntrain/network.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

/// `state` under the names of `network`, as far as it can be told what is meant; check_state() has the last
/// word. `remarks` receives what was done, prefixed by `where`, the file's name:
/// - A prefix of all tensors of the network, such as "module." of torch.nn.DataParallel or "_orig_mod." of
///   torch.compile, is taken off. Tensors without it are left out. Throws Error(data) where the network is
///   there under several prefixes.
/// - Where an nn.Sequential has further layers without tensors (Dropout), its numbers are others: the layers
///   are taken in their order if kinds and shapes agree one by one. Those of the last layer may have another
///   number of outputs.
/// - Tensors without elements, which no network has, are left out.
/// - num_batches_tracked counts as 0 where it is missing, and may have any type and the shape [1].
ModelState adapt_state(const Network& network, ModelState state, const std::string& where,
                       std::vector<Remark>& remarks);

}  // namespace bntrain
