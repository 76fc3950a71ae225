// Entries by formulas, for one instruction set: a unit of its own.
#include "kernels/formula_kernels.hpp"

#include "kernels/bessel.hpp"
#include "kernels/formulas.hpp"
#include "kernels/legendre.hpp"

namespace papilio {
namespace kernels {
namespace {

constexpr FormulaEntry formulas[] = {
    {"inner product 1", 1, 1, 0, nullptr, true, 2, run_waves<InnerProduct<1>>},
    {"inner product 2", 2, 2, 0, nullptr, true, 2, run_waves<InnerProduct<2>>},
    {"tapered inner product", 3, 3, 0, nullptr, true, 2, run_waves<TaperedInnerProduct>},
    {"scaled inner product", 3, 3, 2, nullptr, true, 2, run_waves<ScaledInnerProduct>},
    {"elliptic phase", 4, 4, 0, nullptr, true, 4, run_waves<EllipticPhase>},
    {"hyperbolic phase", 2, 2, 0, nullptr, true, 4, run_waves<HyperbolicPhase>},
    {"spherical wave", 3, 3, 1, nullptr, true, 6, run_waves<SphericalWave>},
    {"decay", 1, 1, 0, nullptr, false, 2, run_real<Decay>},
    {"bessel", 1, 1, 4, bessel_parameters, false, 10, run_real<Bessel<false>>},
    {"bessel of order 0", 1, 1, 4, bessel_parameters, false, 6, run_real<Bessel<true>>},
    {"circular wave", 2, 2, 3, circular_parameters, true, 8, run_waves<CircularWave>},
    {"hankel", 2, 1, debye_numbers, nullptr, true, 12, run_waves<Hankel>},
    {"legendre", 6, 3, 3 + 2 * Legendre::nodes, nullptr, false, 12, run_real<Legendre>},
    {"associated legendre", 7, 2, 8, associated_parameters, false, 20,
     run_real<AssociatedLegendre>},
};

void waves(int64_t count, const double* turns, double* out) {
  constexpr int lanes = Doubles::lanes;
  double in[lanes] = {}, re[lanes], im[lanes];
  for (int64_t at = 0; at < count; at += lanes) {
    const int64_t here = count - at < lanes ? count - at : lanes;
    for (int64_t n = 0; n < here; ++n) in[n] = turns[at + n];
    const Wave found = wave_of(Doubles::load(in));
    found.re.store(re, lanes);
    found.im.store(im, lanes);
    for (int64_t n = 0; n < here; ++n) {
      out[2 * (at + n)] = re[n];
      out[2 * (at + n) + 1] = im[n];
    }
  }
}

constexpr FormulaTable formula_table = {formulas, sizeof formulas / sizeof *formulas, waves};

}  // namespace

const FormulaTable& PAPILIO_JOIN(formula_table_, PAPILIO_ISA_NAME)();
const FormulaTable& PAPILIO_JOIN(formula_table_, PAPILIO_ISA_NAME)() { return formula_table; }

}  // namespace kernels
}  // namespace papilio
