// Rectangles of classes on the grid of types of rows and columns, as sets of bits.
#pragma once

#include <cstdint>
#include <vector>

#include "papilio/fixed_support.hpp"

namespace papilio {

/// A set of numbers below a size.
class Bits {
 public:
  explicit Bits(Index size = 0) : words_(static_cast<std::size_t>((size + 63) / 64)) {}

  bool operator[](Index n) const { return words_[word(n)] >> (n & 63) & 1; }
  void set(Index n) { words_[word(n)] |= std::uint64_t{1} << (n & 63); }
  void reset(Index n) { words_[word(n)] &= ~(std::uint64_t{1} << (n & 63)); }
  bool any() const {
    for (std::uint64_t w : words_)
      if (w) return true;
    return false;
  }
  Index count() const {
    Index sum = 0;
    for (std::uint64_t w : words_) sum += __builtin_popcountll(w);
    return sum;
  }
  bool within(const Bits& other) const {
    for (std::size_t n = 0; n < words_.size(); ++n)
      if (words_[n] & ~other.words_[n]) return false;
    return true;
  }
  bool meets(const Bits& other) const {
    for (std::size_t n = 0; n < words_.size(); ++n)
      if (words_[n] & other.words_[n]) return true;
    return false;
  }
  Bits& operator&=(const Bits& other) {
    for (std::size_t n = 0; n < words_.size(); ++n) words_[n] &= other.words_[n];
    return *this;
  }
  Bits& operator|=(const Bits& other) {
    for (std::size_t n = 0; n < words_.size(); ++n) words_[n] |= other.words_[n];
    return *this;
  }
  /// Without the elements of another set.
  Bits& operator-=(const Bits& other) {
    for (std::size_t n = 0; n < words_.size(); ++n) words_[n] &= ~other.words_[n];
    return *this;
  }
  friend Bits operator&(Bits a, const Bits& b) { return a &= b; }
  friend Bits operator|(Bits a, const Bits& b) { return a |= b; }
  friend Bits operator-(Bits a, const Bits& b) { return a -= b; }
  friend bool operator==(const Bits& a, const Bits& b) { return a.words_ == b.words_; }
  friend bool operator<(const Bits& a, const Bits& b) { return a.words_ < b.words_; }

  /// body(n) for all elements, ascending, as long as it returns true; whether it always did.
  template <class Body>
  bool all_of(const Body& body) const {
    for (std::size_t k = 0; k < words_.size(); ++k)
      for (std::uint64_t w = words_[k]; w; w &= w - 1)
        if (!body(static_cast<Index>(64 * k) + __builtin_ctzll(w))) return false;
    return true;
  }
  template <class Body>
  void each(const Body& body) const {
    all_of([&](Index n) {
      body(n);
      return true;
    });
  }
  std::vector<Index> list() const {
    std::vector<Index> result;
    each([&](Index n) { result.push_back(n); });
    return result;
  }
  Index words() const { return static_cast<Index>(words_.size()); }

 private:
  static std::size_t word(Index n) { return static_cast<std::size_t>(n / 64); }
  std::vector<std::uint64_t> words_;
};

/// Rows that lie in the same classes have one type, and so have columns. `weight` lines of each
/// type count; they are the lines number `base`, `base` + 1, ... of their type.
struct TypeSide {
  std::vector<std::int32_t> type;  // its number in the analysis
  std::vector<Index> weight, base;
  std::vector<Bits> classes;  // of each type
  std::vector<Bits> of_class;
  Index size() const { return static_cast<Index>(weight.size()); }
  Index weight_of(const Bits& set) const {
    Index sum = 0;
    set.each([&](Index n) { sum += weight[static_cast<std::size_t>(n)]; });
    return sum;
  }
};

struct TypeGrid {
  TypeSide rows, cols;
  std::vector<std::int32_t> number;  // of each class, in the analysis
  std::vector<Index> rank;           // members that count
  Index classes() const { return static_cast<Index>(rank.size()); }
  /// The classes whose rectangles contain a cell.
  Bits cover(Index row, Index col) const {
    return rows.classes[static_cast<std::size_t>(row)] &
           cols.classes[static_cast<std::size_t>(col)];
  }
  TypeGrid transposed() const { return {cols, rows, number, rank}; }
};

/// Some types of rows and columns of an analysis, with the classes of a component that have both.
TypeGrid type_grid(const SupportAnalysis& analysis, std::int32_t component,
                   const IndexSets& classes_in_row, const IndexSets& classes_in_col,
                   const std::vector<Index>& row_weight, const std::vector<Index>& col_weight,
                   const std::vector<std::int32_t>& row_types,
                   const std::vector<std::int32_t>& col_types);

/// The kernel: of rows of one type at most as many as inner indices have them, likewise columns.
/// Whether the set of products is closed depends on nothing else (docs/supports.md, T1).
TypeGrid kernel_of(TypeGrid grid);

/// Classes never count more members than their rectangle has rows or columns.
void cap_ranks(TypeGrid& grid);

}  // namespace papilio
