#include "fixed_support/index_sets.hpp"

namespace papilio {

namespace {

/// Disjoint sets of classes.
class UnionFind {
 public:
  explicit UnionFind(Index count) : parent_(at(count)) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  std::int32_t find(std::int32_t n) {
    while (parent_[at(n)] != n) n = parent_[at(n)] = parent_[at(parent_[at(n)])];
    return n;
  }
  /// Whether they were apart.
  bool unite(std::int32_t a, std::int32_t b) {
    a = find(a);
    b = find(b);
    if (a == b) return false;
    parent_[at(std::max(a, b))] = std::min(a, b);
    return true;
  }

 private:
  std::vector<std::int32_t> parent_;
};

/// The rectangles of the classes, with rows of one type counted as one, and columns likewise.
struct Compressed {
  const IndexSets& row_types;  // of each class
  const IndexSets& col_types;
  IndexSets classes_in_row;  // by row type
  IndexSets classes_in_col;
  Index rows() const { return classes_in_row.size(); }
  Index cols() const { return classes_in_col.size(); }
  Index classes() const { return row_types.size(); }
};

/// The sets of classes by type, for types in the order of number_sets.
IndexSets keep_first(const IndexSets& sets, const std::vector<std::int32_t>& first_with) {
  IndexSets result;
  Pulse pulse;
  for (std::int32_t n : first_with) {
    const IndexSpan set = sets[n];
    pulse(1 + set.size());
    result.index.insert(result.index.end(), set.begin(), set.end());
    result.close();
  }
  return result;
}

/// Joins classes whose rectangles share an entry. A row whose classes are joined already is left
/// out, and so is a column all of whose classes are; the lists of the columns that remain are made
/// anew whenever the sweep has cost as much as everything before.
class OverlapSweep {
 public:
  explicit OverlapSweep(const Compressed& compressed)
      : compressed_(compressed),
        joined_(compressed.classes()),
        owner_(at(compressed.cols())),
        stamp_(at(compressed.cols()), -1) {
    double budget = static_cast<double>(compressed.row_types.index.size()) +
                    static_cast<double>(compressed.col_types.index.size());
    list_columns();
    double work = 0;
    for (Index row = 0; row < compressed.rows(); ++row) {
      work += sweep(static_cast<std::int32_t>(row));
      if (work < budget) continue;
      list_columns();
      budget += work;
      work = 0;
    }
  }

  std::int32_t find(std::int32_t n) { return joined_.find(n); }

 private:
  bool all_joined(IndexSpan classes) {
    const std::int32_t root = joined_.find(classes[0]);
    return std::all_of(classes.begin(), classes.end(),
                       [&](std::int32_t p) { return joined_.find(p) == root; });
  }

  void list_columns() {
    std::vector<char> mixed(at(compressed_.cols()));
    for (Index col = 0; col < compressed_.cols(); ++col) {
      pulse_(1 + compressed_.classes_in_col[col].size());
      mixed[at(col)] = !all_joined(compressed_.classes_in_col[col]);
    }
    columns_ = {};
    columns_.start.reserve(at(compressed_.classes()) + 1);
    for (Index p = 0; p < compressed_.classes(); ++p) {
      pulse_(1 + compressed_.col_types[p].size());
      for (std::int32_t col : compressed_.col_types[p])
        if (mixed[at(col)]) columns_.index.push_back(col);
      columns_.close();
    }
  }

  double sweep(std::int32_t row) {
    const IndexSpan classes = compressed_.classes_in_row[row];
    double work = static_cast<double>(classes.size());
    pulse_(1 + classes.size());
    std::vector<std::int32_t> roots;
    for (std::int32_t p : classes) roots.push_back(joined_.find(p));
    std::sort(roots.begin(), roots.end());
    auto apart = std::unique(roots.begin(), roots.end()) - roots.begin();
    for (std::int32_t p : classes) {
      if (apart == 1) break;
      const IndexSpan columns = columns_[p];
      pulse_(columns.size());
      work += static_cast<double>(columns.size());
      for (std::int32_t col : columns) {
        if (stamp_[at(col)] == row) {
          if (joined_.unite(owner_[at(col)], p)) --apart;
        } else {
          stamp_[at(col)] = row;
          owner_[at(col)] = p;
        }
      }
    }
    return work;
  }

  const Compressed& compressed_;
  UnionFind joined_;
  IndexSets columns_;  // of each class, where classes that aren't joined yet meet
  std::vector<std::int32_t> owner_, stamp_;
  Pulse pulse_;
};

/// One rectangle of what a class keeps outside of the complete classes, in types.
struct Piece {
  std::int32_t owner;
  std::vector<std::int32_t> rows, cols;
};

/// Decides components of several classes: tractable if each entry outside of the complete classes'
/// rectangles lies in one incomplete class only, and what each of these keeps there is a union of
/// rectangles that share neither rows nor columns.
class CompleteSweep {
 public:
  CompleteSweep(const Compressed& compressed, SupportAnalysis& analysis)
      : compressed_(compressed),
        analysis_(analysis),
        filled_(at(compressed.cols()), -1),
        taken_(at(compressed.cols()), -1) {
    for (Index row = 0; row < compressed.rows(); ++row) sweep(static_cast<std::int32_t>(row));
    check_columns();
  }

  std::vector<Piece> pieces;

 private:
  ComponentKind& kind(std::int32_t p) { return analysis_.kinds[at(analysis_.component[at(p)])]; }

  void sweep(std::int32_t row) {
    const IndexSpan classes = compressed_.classes_in_row[row];
    for (std::int32_t p : classes) pulse_(1 + compressed_.col_types[p].size());
    for (std::int32_t p : classes)
      if (kind(p) == ComponentKind::complete && analysis_.complete[at(p)])
        for (std::int32_t col : compressed_.col_types[p]) filled_[at(col)] = row;
    for (std::int32_t p : classes)
      if (kind(p) == ComponentKind::complete && !analysis_.complete[at(p)]) add(p, row);
  }

  void add(std::int32_t p, std::int32_t row) {
    std::vector<std::int32_t> left;
    for (std::int32_t col : compressed_.col_types[p]) {
      if (filled_[at(col)] == row) continue;
      if (taken_[at(col)] == row) {
        kind(p) = ComponentKind::open;
        return;
      }
      taken_[at(col)] = row;
      left.push_back(col);
    }
    if (left.empty()) return;
    const std::uint64_t key = static_cast<std::uint64_t>(p) * at(compressed_.cols()) +
                              static_cast<std::uint64_t>(left.front());
    const auto [place, fresh] = found_.try_emplace(key, pieces.size());
    if (fresh)
      pieces.push_back({p, {row}, std::move(left)});
    else if (pieces[place->second].cols == left)
      pieces[place->second].rows.push_back(row);
    else
      kind(p) = ComponentKind::open;
  }

  /// No two pieces of one class may share a column; pieces of open components are dropped.
  void check_columns() {
    std::stable_sort(pieces.begin(), pieces.end(),
                     [](const Piece& a, const Piece& b) { return a.owner < b.owner; });
    std::fill(taken_.begin(), taken_.end(), -1);
    for (const Piece& piece : pieces)
      for (std::int32_t col : piece.cols) {
        if (taken_[at(col)] == piece.owner) kind(piece.owner) = ComponentKind::open;
        taken_[at(col)] = piece.owner;
      }
    pieces.erase(std::remove_if(
                     pieces.begin(), pieces.end(),
                     [&](const Piece& piece) { return kind(piece.owner) == ComponentKind::open; }),
                 pieces.end());
  }

  const Compressed& compressed_;
  SupportAnalysis& analysis_;
  std::vector<std::int32_t> filled_, taken_;  // the last row that met the column
  std::unordered_map<std::uint64_t, std::size_t> found_;
  Pulse pulse_;
};

/// For each of `count` pieces, where in `set` its types stand.
void add_positions(IndexSpan set, const std::vector<std::int32_t>& types,
                   const std::vector<std::int32_t>& piece_of_type, std::size_t count,
                   IndexSets& out) {
  poll_interruption();
  std::vector<std::vector<std::int32_t>> positions(count);
  for (Index n = 0; n < set.size(); ++n) {
    const std::int32_t piece = piece_of_type[at(types[at(set[n])])];
    if (piece >= 0) positions[at(piece)].push_back(static_cast<std::int32_t>(n));
  }
  for (const auto& found : positions) {
    out.index.insert(out.index.end(), found.begin(), found.end());
    out.close();
  }
}

/// Numbers the classes of inner indices, those with the same row and column sets: for each class
/// one of them, for each index its class, and the classes' members.
std::vector<std::int32_t> find_classes(const Supports& supports,
                                       std::vector<std::int32_t>& class_of, IndexSets& members) {
  std::vector<std::int32_t> representative;
  const Index inner = supports.inner();
  std::vector<std::int32_t> unused_left, unused_right;
  const std::vector<std::int32_t> row_set = number_sets(supports.left, unused_left);
  const std::vector<std::int32_t> col_set = number_sets(supports.right, unused_right);
  std::unordered_map<std::uint64_t, std::int32_t> numbers;
  IndexSets own_class;  // of each inner index: one or none
  Pulse pulse;
  for (Index i = 0; i < inner; ++i) {
    pulse(4);
    if (row_set[at(i)] >= 0 && col_set[at(i)] >= 0) {
      const std::uint64_t key = (static_cast<std::uint64_t>(row_set[at(i)]) << 32) |
                                static_cast<std::uint64_t>(col_set[at(i)]);
      const auto next = static_cast<std::int32_t>(representative.size());
      const auto [place, fresh] = numbers.try_emplace(key, next);
      if (fresh) representative.push_back(static_cast<std::int32_t>(i));
      class_of[at(i)] = place->second;
      own_class.index.push_back(place->second);
    }
    own_class.close();
  }
  members = transposed(own_class.view(), static_cast<Index>(representative.size()));
  return representative;
}

}  // namespace

SupportAnalysis::SupportAnalysis(const Supports& supports) : class_of(at(supports.inner()), -1) {
  const std::vector<std::int32_t> representative = find_classes(supports, class_of, members);
  const Index classes = members.size();
  for (Index p = 0; p < classes; ++p) {
    const std::int32_t i = representative[at(p)];
    complete.push_back(members[p].size() >=
                       std::min(supports.left[i].size(), supports.right[i].size()));
  }

  // Types of rows and columns.
  const auto compress = [&](const IndexSetsView& side, Index lines, std::vector<std::int32_t>& type,
                            IndexSets& class_types) {
    IndexSets of_class;
    Pulse pulse;
    for (std::int32_t i : representative) {
      pulse(1 + side[i].size());
      of_class.index.insert(of_class.index.end(), side[i].begin(), side[i].end());
      of_class.close();
    }
    const IndexSets of_line = transposed(of_class.view(), lines);
    std::vector<std::int32_t> first_with;
    type = number_sets(of_line.view(), first_with);
    IndexSets of_type = keep_first(of_line, first_with);
    class_types = transposed(of_type.view(), classes);
    return of_type;
  };
  IndexSets in_row = compress(supports.left, supports.rows, row_type, class_row_types);
  IndexSets in_col = compress(supports.right, supports.cols, col_type, class_col_types);
  const Compressed compressed{class_row_types, class_col_types, std::move(in_row),
                              std::move(in_col)};

  // Components.
  {
    OverlapSweep overlaps(compressed);
    std::vector<std::int32_t> number(at(classes), -1);
    for (Index p = 0; p < classes; ++p) {
      std::int32_t& own = number[at(overlaps.find(static_cast<std::int32_t>(p)))];
      if (own < 0) {
        own = static_cast<std::int32_t>(kinds.size());
        kinds.push_back(ComponentKind::disjoint);
      } else {
        kinds[at(own)] = ComponentKind::complete;  // until CompleteSweep finds otherwise
      }
      component.push_back(own);
    }
  }

  // Pieces, class by class.
  const std::vector<Piece> pieces = CompleteSweep(compressed, *this).pieces;
  std::vector<std::int32_t> row_piece(at(compressed.rows()), -1),
      col_piece(at(compressed.cols()), -1);
  for (std::size_t first = 0, last = 0; first < pieces.size(); first = last) {
    const std::int32_t owner = pieces[first].owner;
    for (; last < pieces.size() && pieces[last].owner == owner; ++last) {
      for (std::int32_t row : pieces[last].rows)
        row_piece[at(row)] = static_cast<int>(last - first);
      for (std::int32_t col : pieces[last].cols)
        col_piece[at(col)] = static_cast<int>(last - first);
      piece_class.push_back(owner);
    }
    const std::int32_t i = representative[at(owner)];
    add_positions(supports.left[i], row_type, row_piece, last - first, piece_rows);
    add_positions(supports.right[i], col_type, col_piece, last - first, piece_cols);
    for (std::int32_t row : class_row_types[owner]) row_piece[at(row)] = -1;
    for (std::int32_t col : class_col_types[owner]) col_piece[at(col)] = -1;
  }
}

}  // namespace papilio
