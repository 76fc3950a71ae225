#include "fixed_support/open_search.hpp"

namespace papilio {

namespace {

/// Rows (or columns) of each type of the analysis.
std::vector<std::int32_t> lines_of(const std::vector<GridLine>& lines, const TypeSide& side,
                                   const std::vector<std::int32_t>& type_of) {
  std::vector<std::int32_t> result(lines.size(), -1);
  std::vector<std::vector<std::size_t>> wanted;  // by type of the grid
  wanted.resize(side.type.size());
  for (std::size_t n = 0; n < lines.size(); ++n) wanted[at(lines[n].type)].push_back(n);
  for (std::size_t t = 0; t < wanted.size(); ++t) {
    if (wanted[t].empty()) continue;
    Index number = 0;
    for (std::size_t line = 0; line < type_of.size(); ++line) {
      if (type_of[line] != side.type[t]) continue;
      for (std::size_t n : wanted[t])
        if (lines[n].number == number) result[n] = static_cast<std::int32_t>(line);
      ++number;
    }
  }
  return result;
}

class WitnessWriter {
 public:
  WitnessWriter(const FoundWitness& found, const TypeGrid& grid, const SupportAnalysis& analysis)
      : found_(found), grid_(grid), analysis_(analysis) {
    out_.rule = found.rule;
    out_.by_columns = found.by_columns;
    out_.first = numbers(found.first);
    rows_ = lines_of(found.rows, grid.rows, analysis.row_type);
    cols_ = lines_of(found.cols, grid.cols, analysis.col_type);
    switch (found.rule) {
      case OpenWitness::Rule::triangular:
        write_triangular();
        break;
      case OpenWitness::Rule::tangent:
        write_tangent();
        break;
      case OpenWitness::Rule::pattern:
        write_pattern();
        break;
    }
    for (const Pin& pin : found.pins) write_pin(pin);
  }

  OpenWitness take() { return std::move(out_); }

 private:
  std::vector<std::int32_t> numbers(const Bits& classes) const {
    std::vector<std::int32_t> result;
    classes.each([&](Index p) { result.push_back(grid_.number[at(p)]); });
    return result;
  }

  /// So many of the inner indices of some classes.
  std::vector<std::int32_t> members(const std::vector<std::int32_t>& classes, Index count) const {
    std::vector<std::int32_t> result;
    for (std::int32_t p : classes)
      for (std::int32_t i : analysis_.members[p])
        if (static_cast<Index>(result.size()) < count) result.push_back(i);
    return result;
  }

  void put(std::int32_t row, std::int32_t inner, double coefficient, int power) {
    out_.x.push_back({row, inner, coefficient, power});
  }
  void put_y(std::int32_t inner, std::int32_t col, double coefficient, int power) {
    out_.y.push_back({inner, col, coefficient, power});
  }

  void write_triangular() {
    const auto s = at(found_.corner_row), t = at(found_.corner_col);
    const std::vector<std::int32_t> inner = members_of_group();
    std::size_t next = 0;
    for (std::size_t u = 0; u < rows_.size(); ++u) {
      out_.limit.push_back({rows_[u], cols_[u], 1.0, 0});
      if (u == s || u == t) continue;
      put(rows_[u], inner[next], 1, 0);
      put_y(inner[next++], cols_[u], 1, 0);
    }
    put(rows_[s], inner[next], 1, -1);
    put(rows_[t], inner[next], 1, 0);
    put_y(inner[next], cols_[s], 1, 1);
    put_y(inner[next], cols_[t], 1, 0);
    Bits others = grid_.cover(found_.rows[s].type, found_.cols[t].type) - found_.first;
    for (const Pin& pin : found_.pins) others.reset(pin.owner);
    out_.second = {grid_.number[at(others.list().front())]};
    const std::int32_t other = analysis_.members[out_.second[0]][0];
    put(rows_[s], other, 1, 0);
    put_y(other, cols_[t], -1, -1);
    out_.rows = {rows_[s]};
    out_.cols = {cols_[t]};
    for (std::size_t u = 0; u < rows_.size(); ++u) {
      if (u != s) out_.rows.push_back(rows_[u]);
      if (u != t) out_.cols.push_back(cols_[u]);
    }
  }

  /// Those of T5's set that count, class by class.
  std::vector<std::int32_t> members_of_group() const {
    std::vector<std::int32_t> result;
    found_.first.each([&](Index p) {
      const auto own = members({grid_.number[at(p)]}, grid_.rank[at(p)]);
      result.insert(result.end(), own.begin(), own.end());
    });
    return result;
  }

  /// Unit vectors of R^kappa stand on the rows, as docs/supports.md has them.
  void write_tangent() {
    out_.second = numbers(found_.second);
    const std::vector<std::int32_t> first = pool(found_.first), second = pool(found_.second);
    const Index z1 = found_.used1, z2 = found_.used2, common = std::min(z1, z2);
    const Index tau = z1 + z2 - common;
    std::vector<std::int32_t> lines = found_.by_columns ? cols_ : rows_;
    const std::vector<std::int32_t>& across = found_.by_columns ? rows_ : cols_;
    const std::int32_t *j1 = across.data(), *j2 = j1 + z1, *j0 = j2 + z2;
    const auto x = [&](Index unit, std::int32_t inner, double c, int power) {
      found_.by_columns ? put_y(inner, lines[at(unit)], c, power)
                        : put(lines[at(unit)], inner, c, power);
    };
    const auto y = [&](std::int32_t inner, std::int32_t col, double c, int power) {
      found_.by_columns ? put(col, inner, c, power) : put_y(inner, col, c, power);
    };
    const auto limit = [&](Index unit, std::int32_t col) {
      found_.by_columns ? out_.limit.push_back({col, lines[at(unit)], 1.0, 0})
                        : out_.limit.push_back({lines[at(unit)], col, 1.0, 0});
    };
    Index extra = 1;  // the next column of J0 and unit vector beyond tau
    const auto write_extra = [&](std::int32_t inner) {
      x(tau + extra, inner, 1, 0);
      y(inner, j0[extra], 1, 0);
      limit(tau + extra, j0[extra]);
      ++extra;
    };
    for (Index a = 0; a < found_.rank1; ++a) {
      if (a >= z1) {
        write_extra(first[at(a)]);
        continue;
      }
      x(a, first[at(a)], 1, 0);
      y(first[at(a)], j1[a], 1, 0);
      limit(a, j1[a]);
    }
    for (Index a = 0; a < found_.rank2; ++a) {
      if (a >= z2) {
        write_extra(second[at(a)]);
        continue;
      }
      const Index unit = a < common ? a : z1 + a - common;
      x(unit, second[at(a)], 1, 0);
      y(second[at(a)], j2[a], 1, 0);
      limit(unit, j2[a]);
    }
    x(tau, second[0], 1, 1);
    limit(tau, j0[0]);
    y(first[0], j0[0], -1, -1);
    y(second[0], j0[0], 1, -1);
    out_.rows = rows_;
    out_.cols = cols_;
  }

  void write_pattern() {
    for (std::size_t n = 0; n + 1 < rows_.size(); ++n)
      out_.limit.push_back({rows_[n], cols_[n], 1.0, 0});
    const auto write = [&](const std::vector<FoundTerm>& terms, const TypeSide& side,
                           const std::vector<std::int32_t>& type_of, const auto& put_term) {
      std::vector<GridLine> lines;
      for (const FoundTerm& term : terms) lines.push_back(term.line);
      const std::vector<std::int32_t> places = lines_of(lines, side, type_of);
      for (std::size_t n = 0; n < terms.size(); ++n)
        put_term(places[n], analysis_.members[grid_.number[at(terms[n].owner)]][terms[n].member],
                 terms[n].sign, terms[n].power);
    };
    write(found_.x, grid_.rows, analysis_.row_type,
          [&](std::int32_t line, std::int32_t inner, double sign, int power) {
            put(line, inner, sign, power);
          });
    write(found_.y, grid_.cols, analysis_.col_type,
          [&](std::int32_t line, std::int32_t inner, double sign, int power) {
            put_y(inner, line, sign, power);
          });
    out_.rows = rows_;
    out_.cols = cols_;
  }

  std::vector<std::int32_t> pool(const Bits& classes) const {
    std::vector<std::int32_t> result;
    classes.each([&](Index p) {
      const auto own = members({grid_.number[at(p)]}, grid_.rank[at(p)]);
      result.insert(result.end(), own.begin(), own.end());
    });
    return result;
  }

  void write_pin(const Pin& pin) {
    const std::int32_t owner = grid_.number[at(pin.owner)];
    const std::vector<std::int32_t> rows = lines_of(pin.rows, grid_.rows, analysis_.row_type);
    const std::vector<std::int32_t> cols = lines_of(pin.cols, grid_.cols, analysis_.col_type);
    const std::vector<std::int32_t> inner = members({owner}, static_cast<Index>(rows.size()));
    for (std::size_t n = 0; n < rows.size(); ++n) {
      put(rows[n], inner[n], 1, 0);
      put_y(inner[n], cols[n], 1, 0);
      out_.limit.push_back({rows[n], cols[n], 1.0, 0});
    }
    out_.pins.push_back(owner);
    out_.pin_rows.push_back(rows);
    out_.pin_cols.push_back(cols);
  }

  const FoundWitness& found_;
  const TypeGrid& grid_;
  const SupportAnalysis& analysis_;
  std::vector<std::int32_t> rows_, cols_;
  OpenWitness out_{};
};

}  // namespace

OpenWitness make_witness(const FoundWitness& found, const TypeGrid& grid,
                         const SupportAnalysis& analysis) {
  return WitnessWriter(found, grid, analysis).take();
}

}  // namespace papilio
