// Enumerations and their names, in one table each.
#pragma once

#include <algorithm>
#include <string>

namespace bntrain {

/// A value under the name that users write and read.
template <class Value>
struct Named {
  const char* name;
  Value value;
};

/// The name of a value that the table has.
template <class Value, std::size_t count>
std::string name_of(Value value, const Named<Value> (&table)[count]) {
  return std::ranges::find(table, value, &Named<Value>::value)->name;
}

}  // namespace bntrain
