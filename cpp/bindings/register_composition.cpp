#include <memory>
#include <tuple>

#include "operator.hpp"
#include "papilio/composition.hpp"

namespace papilio {

namespace {

typedef py::array_t<double, py::array::c_style | py::array::forcecast> Doubles;

/// Points on a grid and their windows, as Python holds them.
struct PointsHolder {
  std::shared_ptr<const GridPoints> points;

  PointsHolder(const py::dtype& dtype, GridShape shape, const Doubles& coefficients,
               const Doubles& angles) {
    if (coefficients.ndim() != 2 || angles.ndim() != 2 ||
        angles.shape(1) != static_cast<py::ssize_t>(shape.size()))
      throw py::value_error(
          "coefficients and angles must be matrices, angles with one column per dimension");
    const DType real = dtype_of(dtype, "values");
    const WithoutLock released;
    points = std::make_shared<GridPoints>(real, std::move(shape), coefficients.shape(1),
                                          coefficients.shape(0) - 1, coefficients.data(),
                                          angles.shape(0), angles.data());
  }
};

/// (transform, scales of the modes, how many of them are negative, whether those come first).
typedef std::tuple<py::object, Doubles, Index, bool> GridTuple;

/// The axes of a grid.
struct GridHolder {
  std::vector<py::object> operators;
  std::vector<GridAxis> axes;

  explicit GridHolder(const std::vector<GridTuple>& given) {
    for (const auto& [transform, scales, negative, centered] : given) {
      operators.push_back(transform);
      axes.push_back({&transform.cast<Operator&>().planner(),
                      std::vector<double>(scales.data(), scales.data() + scales.size()), negative,
                      centered});
    }
  }
};

/// (start, columns, values, number of columns) of a sparse matrix, (operator, side, copies), (grid
/// of points, 1 to transpose + 2 for complex numbers, copies) or (axes of a grid, side, copies).
typedef std::vector<py::tuple> Steps;

/// The steps of a composition, and the operators that they belong to.
class CompositionProduct : public Product {
 public:
  CompositionProduct(const py::dtype& dtype, bool complex_input, bool complex_output,
                     const Steps& steps)
      : composition_(dtype_of(dtype, "values"), complex_input, complex_output, to_steps(steps)) {
    const py::dtype complex_dtype(dtype.itemsize() == 4 ? "complex64" : "complex128");
    set_dtypes(complex_input ? complex_dtype : dtype, complex_output ? complex_dtype : dtype);
  }

 private:
  End input(Side) const override { return {composition_.input(), composition_.cols()}; }
  End output(Side) const override { return {composition_.output(), composition_.rows()}; }

  void run(const Layout& layout, Side side, const void* in, void* out) override {
    if (!composition_.is_planned(layout)) {
      const WithoutLock while_planning;
      return execute(layout, side, in, out);
    }
    double vectors = 1;
    for (const BatchAxis& axis : layout.batch) vectors *= static_cast<double>(axis.size);
    released(1e-9 * vectors * composition_.nanoseconds_per_vector(),
             [&] { execute(layout, side, in, out); });
  }
  void execute(const Layout& layout, Side, const void* in, void* out) override {
    composition_.execute(layout, in, out);
  }

  std::vector<Step> to_steps(const Steps& given) {
    std::vector<Step> steps;
    for (const py::tuple& step : given) {
      if (step.size() == 4) {
        steps.push_back(to_sparse(step));
      } else if (step.size() == 3) {
        owners_.push_back(step[0]);
        const Side side = step[1].cast<Side>();
        const Index copies = step[2].cast<Index>();
        if (copies < 1) throw py::value_error("copies must be positive");
        if (py::isinstance<PointsHolder>(step[0]))
          steps.push_back(OnGrid{
              interpolation(step[0].cast<PointsHolder&>().points, side.transposed, side.conjugated),
              copies});
        else if (py::isinstance<GridHolder>(step[0]))
          steps.push_back(OnGrid{
              grid_transform(step[0].cast<GridHolder&>().axes, side.transposed, side.conjugated),
              copies});
        else
          steps.push_back(Multiplication{&step[0].cast<Operator&>().planner(), side.transposed,
                                         side.conjugated, copies});
      } else {
        throw py::value_error("a step must have three or four entries");
      }
    }
    return steps;
  }

  static SparseMatrix to_sparse(const py::tuple& step) {
    typedef py::array_t<Index, py::array::c_style | py::array::forcecast> Indices;
    const auto start = step[0].cast<Indices>(), columns = step[1].cast<Indices>();
    const auto values = step[2].cast<py::array>();
    if (start.ndim() != 1 || start.shape(0) < 1 || columns.ndim() != 1 || values.ndim() != 1 ||
        columns.shape(0) != values.shape(0) || start.at(start.shape(0) - 1) != values.shape(0) ||
        !(values.flags() & py::array::c_style))
      throw py::value_error("a sparse step must have matching vectors");
    const DType dtype = dtype_of(values, "values");
    if (holds_complex(dtype)) throw py::type_error("a sparse step must be real");
    return SparseMatrix(dtype, start.shape(0) - 1, step[3].cast<Index>(), start.data(),
                        columns.data(), values.data());
  }

  std::vector<py::object> owners_;
  Composition composition_;
};

}  // namespace

void register_composition(py::module_& module) {
  py::class_<PointsHolder>(module, "GridPoints")
      .def(py::init<const py::dtype&, GridShape, const Doubles&, const Doubles&>());
  py::class_<GridHolder>(module, "Grid").def(py::init<const std::vector<GridTuple>&>());
  py::class_<CompositionProduct>(module, "Composition")
      .def(py::init<const py::dtype&, bool, bool, const Steps&>())
      .def("multiplier",
           [](const py::object& self, Side side, bool rows) {
             return Product::multiplier(self, self.cast<CompositionProduct*>(), side, rows);
           })
      .def("writer",
           [](const py::object& self, Side side) {
             return Product::writer(self, self.cast<CompositionProduct*>(), side);
           })
      .def("apply", &CompositionProduct::apply);
}

}  // namespace papilio
