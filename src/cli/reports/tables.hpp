// Tables for a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "bntrain/network.hpp"

namespace bntrain::cli {

using TableRow = std::vector<std::string>;

/// The rows as lines, the cells of a column below each other, those of `right` at the right of their column.
/// Every row has as many cells as the first. Where they are wider than output_width(), the columns that find
/// no place follow below, after the first column once more.
std::string text_table(const std::vector<TableRow>& rows, const std::set<std::size_t>& right = {});

/// The lines no longer than output_width(), broken at spaces; a continuation begins below the last column of
/// its line: what follows two spaces.
std::string wrapped(const std::string& text);

/// A heading, one line a layer (index, text, output shape with the batch, trainable parameters), and their
/// total.
std::string layer_table(const Network& network, std::int64_t batch_size);

}  // namespace bntrain::cli
