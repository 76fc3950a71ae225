// Entries by formulas, for one instruction set: a unit of its own.
#include "kernels/formula_kernels.hpp"

#include "kernels/formulas.hpp"

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
};

void waves(int64_t count, const double* turns, double* out) {
  constexpr int lanes = Doubles::lanes;
  for (int64_t at = 0; at < count; at += lanes) {
    const int64_t here = count - at < lanes ? count - at : lanes;
    const Wave found =
        wave_of(here == lanes ? Doubles::load(turns + at) : Doubles::load_part(turns + at, here));
    for (int64_t n = 0; n < here; ++n) {
      out[2 * (at + n)] = found.re.v[n];
      out[2 * (at + n) + 1] = found.im.v[n];
    }
  }
}

constexpr FormulaTable formula_table = {formulas, sizeof formulas / sizeof *formulas, waves};

}  // namespace

const FormulaTable& PAPILIO_JOIN(formula_table_, PAPILIO_ISA_NAME)();
const FormulaTable& PAPILIO_JOIN(formula_table_, PAPILIO_ISA_NAME)() { return formula_table; }

}  // namespace kernels
}  // namespace papilio
