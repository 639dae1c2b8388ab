// Where data sets are looked for.
#pragma once

#include "bntrain/dataset.hpp"

namespace bntrain::cli {

/// $XDG_CACHE_HOME/bntrain or ~/.cache/bntrain, then the folder of Debian's dataset-fashion-mnist.
/// (BNTRAIN_DATA is the environment form of --data and thus comes first.)
DataSearch default_data_search();

}  // namespace bntrain::cli
