#include <array>
#include <cmath>

#include "papilio/compress.hpp"
#include "papilio/interruption.hpp"
#include "parallel/shares.hpp"

namespace papilio {

void evaluate(EntryFunction function, void* user_data, Index count, Index rows, Index cols,
              const Index* i, const Index* j, void* out, Index element) {
  const double work = 10 * static_cast<double>(rows * cols);
  in_shares(count, work, [&](Index begin, Index end) {
    for (Index n = begin; n < end; ++n) {
      poll_interruption();
      function(rows, cols, i + n * rows, j + n * cols,
               static_cast<char*>(out) + n * rows * cols * element, user_data);
    }
  });
}

namespace {

constexpr double two_pi = 6.283185307179586476925286766559;
constexpr Index steps = 1024;  // of a turn

struct Turn {
  double cosine, sine;
};

const std::array<Turn, steps>& table() {
  static const auto turns = [] {
    std::array<Turn, steps> filled{};
    for (Index n = 0; n < steps; ++n) {
      const long double angle = 6.283185307179586476925286766559005768L * n / steps;
      filled[static_cast<std::size_t>(n)] = {static_cast<double>(std::cos(angle)),
                                             static_cast<double>(std::sin(angle))};
    }
    return filled;
  }();
  return turns;
}

}  // namespace

void wave(Index count, const double* turns, std::complex<double>* out) {
  const std::array<Turn, steps>& known = table();
  // Adding and subtracting 1.5 * 2^52 rounds to a whole number, whose last bits stand in the sum's.
  constexpr double rounder = 6755399441055744.0;
  in_shares(count, 5, [&](Index begin, Index end) {
    double* to = reinterpret_cast<double*>(out);
    for (Index n = begin; n < end; ++n) {
      // Whole turns first, exactly: large ones have no place for the steps.
      const double whole = std::nearbyint(turns[n]);
      const double part = turns[n] - whole;
      const double shifted = part * steps + rounder;
      const double nearest = shifted - rounder;
      const double angle = (part - nearest / steps) * two_pi;  // below pi / 1024
      const std::size_t at = static_cast<std::size_t>(
          (std::isfinite(part) ? static_cast<Index>(nearest) : 0) & (steps - 1));
      const double square = angle * angle;
      const double s = angle * (1 - square / 6 * (1 - square / 20));
      const double c = square * (-0.5 + square / 24 * (1 - square / 30));  // cos - 1
      const Turn& t = known[at];
      to[2 * n] = t.cosine + (t.cosine * c - t.sine * s);
      to[2 * n + 1] = t.sine + (t.sine * c + t.cosine * s);
    }
  });
}

}  // namespace papilio
