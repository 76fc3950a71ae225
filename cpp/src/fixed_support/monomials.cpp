#include "fixed_support/monomials.hpp"

#include <cmath>

#include "fixed_support/index_sets.hpp"

namespace papilio {

namespace {

/// One product is epsilon^power, or two are equal up to their sign.
struct Equation {
  VariableSet plus, minus;
  int power;
};

/// Rows of a linear system with its right side last.
using Matrix = std::vector<std::vector<double>>;

constexpr std::size_t variables = 64;
// Entries are sums of few 0, 1, -1: a pivot is zero or far from it.
constexpr double zero = 1e-6;

bool has(VariableSet set, std::size_t n) { return set >> n & 1; }

/// Gauss and Jordan. The solution with free variables zero, if there is one.
std::optional<std::vector<int>> solve_powers(const std::vector<Equation>& equations) {
  Matrix a;
  for (const Equation& e : equations) {
    a.emplace_back(variables + 1);
    for (std::size_t n = 0; n < variables; ++n) a.back()[n] = has(e.plus, n) - has(e.minus, n);
    a.back()[variables] = e.power;
  }
  std::vector<int> solution(variables);
  std::vector<std::size_t> pivots;
  for (std::size_t c = 0; c < variables && pivots.size() < a.size(); ++c) {
    const std::size_t rank = pivots.size();
    std::size_t best = rank;
    for (std::size_t r = rank; r < a.size(); ++r)
      if (std::abs(a[r][c]) > std::abs(a[best][c])) best = r;
    if (std::abs(a[best][c]) < zero) continue;
    std::swap(a[best], a[rank]);
    for (std::size_t r = 0; r < a.size(); ++r) {
      if (r == rank || std::abs(a[r][c]) < zero) continue;
      const double factor = a[r][c] / a[rank][c];
      for (std::size_t n = c; n <= variables; ++n) a[r][n] -= factor * a[rank][n];
    }
    pivots.push_back(c);
  }
  for (std::size_t r = 0; r < pivots.size(); ++r)
    solution[pivots[r]] = static_cast<int>(std::lround(a[r][variables] / a[r][pivots[r]]));
  // In whole numbers: no solution, or one with fractions, shows here.
  for (const Equation& e : equations) {
    int sum = 0;
    for (std::size_t n = 0; n < variables; ++n)
      sum += (has(e.plus, n) - has(e.minus, n)) * solution[n];
    if (sum != e.power) return std::nullopt;
  }
  return solution;
}

/// The same over the field of two elements: single products are 1, pairs of them cancel. Nothing
/// as well if there are no powers even in this field, which costs little to see.
std::optional<std::vector<int>> solve_signs(const std::vector<Equation>& equations) {
  constexpr int negative = 1, odd = 2;  // right sides of signs and of powers
  std::vector<VariableSet> rows;
  std::vector<int> right;
  for (const Equation& e : equations) {
    rows.push_back(e.plus ^ e.minus);
    right.push_back((e.minus ? negative : 0) | (e.power & 1 ? odd : 0));
  }
  std::vector<int> sign(variables, 1);
  std::vector<std::size_t> pivots;  // variable of each row
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (!rows[r]) {
      if (right[r]) return std::nullopt;
      pivots.push_back(variables);
      continue;
    }
    pivots.push_back(static_cast<std::size_t>(__builtin_ctzll(rows[r])));
    for (std::size_t other = 0; other < rows.size(); ++other)
      if (other != r && has(rows[other], pivots[r])) {
        rows[other] ^= rows[r];
        right[other] ^= right[r];
      }
  }
  for (std::size_t r = 0; r < rows.size(); ++r)
    if (pivots[r] < variables && (right[r] & negative)) sign[pivots[r]] = -1;
  return sign;
}

}  // namespace

std::optional<Monomials> monomials_on(const CellProblem& problem, VariableSet used, Index small,
                                      SearchBudget& budget) {
  std::vector<Equation> equations;
  for (std::size_t c = 0; c < problem.cells.size(); ++c) {
    Equation equation{0, 0, static_cast<Index>(c) == small};
    for (VariableSet term : problem.cells[c].terms) {
      if (term & ~used) continue;
      if (equation.minus) return std::nullopt;
      (equation.plus ? equation.minus : equation.plus) = term;
    }
    if (equation.plus) equations.push_back(equation);
  }
  const auto count = static_cast<Index>(equations.size());
  budget.spend(count * count / 4);
  std::optional<std::vector<int>> sign = solve_signs(equations);
  if (!sign) return std::nullopt;
  budget.spend(count * count * 16);
  std::optional<std::vector<int>> power = solve_powers(equations);
  if (!power) return std::nullopt;
  return Monomials{used, std::move(*sign), std::move(*power)};
}

}  // namespace papilio
