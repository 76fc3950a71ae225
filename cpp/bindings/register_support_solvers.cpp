#include "support_arrays.hpp"

namespace papilio {

namespace {

template <class T>
class AlternatingSolver {
 public:
  using Values = py::array_t<T, py::array::c_style>;

  AlternatingSolver(Index rows, Index cols, const Starts& left_start, const Indices& left,
                    const Starts& right_start, const Indices& right, const Starts& observed_start,
                    const Indices& observed, const Values& values)
      : arrays_(rows, cols, left_start, left, right_start, right) {
    const IndexSetsView entries = to_sets(observed_start, observed, cols, "observed");
    if (entries.size != rows || values.ndim() != 1 || values.size() != observed.size())
      refuse("observed", "must list columns for each row, and values one number for each");
    const WithoutLock released;
    solver_ = std::make_unique<Alternating<T>>(arrays_.supports, entries, values.data());
  }

  std::vector<double> sweep(Values& x, Values& y, Index sweeps, double ridge, double tolerance,
                            const py::object& progress) const {
    arrays_.check_values(x, y);
    T *to_x = x.mutable_data(), *to_y = y.mutable_data();
    const auto tell = [&] {
      const WithLock held;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (!progress.is_none()) progress();
    };
    const WithoutLock released;
    return solver_->sweep(to_x, to_y, sweeps, ridge, tolerance, tell);
  }

  double gradient(const Values& x, const Values& y, double ridge, Values& gradient_x,
                  Values& gradient_y) const {
    arrays_.check_values(x, y);
    arrays_.check_values(gradient_x, gradient_y);
    T *to_x = gradient_x.mutable_data(), *to_y = gradient_y.mutable_data();
    const WithoutLock released;
    return solver_->gradient(x.data(), y.data(), ridge, to_x, to_y);
  }

  void deflate(const Starts& start, const Indices& index, bool by_mass, Values& x,
               Values& y) const {
    connect_lapack();
    const IndexSetsView classes = to_sets(start, index, arrays_.supports.inner(), "classes");
    for (Index p = 0; p < classes.size; ++p) {
      if (classes[p].size() == 0) refuse("classes", "must not be empty");
      if (arrays_.left[classes[p][0]].size() == 0 || arrays_.right[classes[p][0]].size() == 0)
        refuse("classes", "must have a rectangle that isn't empty");
      for (std::int32_t i : classes[p])
        if (!same_rectangle(classes[p][0], i)) refuse("classes", "must share a rectangle");
    }
    arrays_.check_values(x, y);
    T *to_x = x.mutable_data(), *to_y = y.mutable_data();
    const WithoutLock released;
    using Order = typename Alternating<T>::Order;
    solver_->deflate(classes, by_mass ? Order::mass : Order::exclusiveness, to_x, to_y);
  }

  double balance(Values& x, Values& y) const {
    arrays_.check_values(x, y);
    return solver_->balance(x.mutable_data(), y.mutable_data());
  }

 private:
  bool same_rectangle(Index i, Index j) const {
    const Supports& s = arrays_.supports;
    return s.left[i].size() == s.left[j].size() && s.right[i].size() == s.right[j].size();
  }

  SupportArrays arrays_;
  std::unique_ptr<Alternating<T>> solver_;
};

template <class T>
void register_alternating(py::module_& module, const char* name) {
  using Solver = AlternatingSolver<T>;
  // Results are written in place, so that nothing may be converted on the way.
  py::class_<Solver>(module, name)
      .def(py::init<Index, Index, const Starts&, const Indices&, const Starts&, const Indices&,
                    const Starts&, const Indices&, const typename Solver::Values&>())
      .def("sweep", &Solver::sweep, py::arg("x").noconvert(), py::arg("y").noconvert(),
           py::arg("sweeps"), py::arg("ridge"), py::arg("tolerance"), py::arg("progress"))
      .def("gradient", &Solver::gradient, py::arg("x").noconvert(), py::arg("y").noconvert(),
           py::arg("ridge"), py::arg("gradient_x").noconvert(), py::arg("gradient_y").noconvert())
      .def("deflate", &Solver::deflate, py::arg("start"), py::arg("index"), py::arg("by_mass"),
           py::arg("x").noconvert(), py::arg("y").noconvert())
      .def("balance", &Solver::balance, py::arg("x").noconvert(), py::arg("y").noconvert());
}

/// The supports of a chain with their memory.
struct ChainArrays {
  std::vector<IndexSets> sets;
  std::vector<FactorSupport> supports;

  ChainArrays(Index rows, const std::vector<std::tuple<Index, Starts, Indices>>& factors) {
    if (factors.empty()) refuse("factors", "must not be empty");
    Index height = to_length(rows, "rows");
    for (const auto& [cols, start, index] : factors) {
      sets.push_back(to_own_sets(start, index, to_length(cols, "columns"), "factors"));
      if (sets.back().size() != height) refuse("factors", "must fit each other");
      height = cols;
    }
    for (std::size_t n = 0; n < sets.size(); ++n)
      supports.push_back({std::get<0>(factors[n]), sets[n].view()});
  }
};

template <class T>
class ChainSolver {
 public:
  using Values = py::array_t<T, py::array::c_style>;

  ChainSolver(Index rows, const std::vector<std::tuple<Index, Starts, Indices>>& factors,
              const py::array& values, const py::object& start, const py::object& column,
              double scale)
      : matrix_(ends(rows, factors), values, start, column, scale) {
    const ChainArrays arrays(rows, factors);
    if (holds_complex(matrix_.matrix.dtype) != holds_complex(dtype_of(Values(0), "values")))
      throw py::type_error("A and the factors must both be real or both be complex");
    const WithoutLock released;
    solver_ = std::make_unique<SupportChain<T>>(matrix_.matrix, arrays.supports);
  }

  double unreached() const { return solver_->unreached(); }

  double squared_error(const Values& values) const {
    check(values);
    const T* from = values.data();
    const WithoutLock released;
    return solver_->squared_error(from);
  }

  double gradient(const Values& values, Values& gradient) const {
    check(values);
    check(gradient);
    const T* from = values.data();
    T* to = gradient.mutable_data();
    const WithoutLock released;
    return solver_->gradient(from, to);
  }

  void sweep(Values& values, Index steps) const {
    check(values);
    T* to = values.mutable_data();
    const WithoutLock released;
    solver_->sweep(to, steps);
  }

  double squared_norm(const Values& values) const {
    check(values);
    const T* from = values.data();
    const WithoutLock released;
    return solver_->squared_norm(from);
  }

  double growth(const Values& values) const {
    check(values);
    const T* from = values.data();
    const WithoutLock released;
    return solver_->growth(from);
  }

 private:
  static Supports ends(Index rows, const std::vector<std::tuple<Index, Starts, Indices>>& factors) {
    const IndexSetsView none{0, nullptr, nullptr};
    return {rows, factors.empty() ? 0 : std::get<0>(factors.back()), none, none};
  }

  void check(const Values& values) const {
    if (values.ndim() != 1 || values.size() != solver_->size())
      refuse("values", "must have one value per entry");
  }

  MatrixArrays matrix_;
  std::unique_ptr<SupportChain<T>> solver_;
};

template <class T>
void register_chain(py::module_& module, const char* name) {
  using Solver = ChainSolver<T>;
  py::class_<Solver>(module, name)
      .def(py::init<Index, const std::vector<std::tuple<Index, Starts, Indices>>&, const py::array&,
                    const py::object&, const py::object&, double>())
      .def("unreached", &Solver::unreached)
      .def("squared_error", &Solver::squared_error, py::arg("values").noconvert())
      .def("gradient", &Solver::gradient, py::arg("values").noconvert(),
           py::arg("gradient").noconvert())
      .def("sweep", &Solver::sweep, py::arg("values").noconvert(), py::arg("steps"))
      .def("squared_norm", &Solver::squared_norm, py::arg("values").noconvert())
      .def("growth", &Solver::growth, py::arg("values").noconvert());
}

}  // namespace

void register_support_solvers(py::module_& module) {
  register_alternating<double>(module, "AlternatingReal");
  register_alternating<std::complex<double>>(module, "AlternatingComplex");
  register_chain<double>(module, "SupportChainReal");
  register_chain<std::complex<double>>(module, "SupportChainComplex");
}

}  // namespace papilio
