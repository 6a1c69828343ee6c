/** Emission of leaves and of primitives that move elements. */
import { sizeOfShape } from "../../graph/dim.ts";
import { float32, int64 } from "../../tensor/tensor.ts";
import type { EmitRule } from "./rule.ts";

type Layout =
  | "dimension"
  | "iota"
  | "constant"
  | "reshape"
  | "transpose"
  | "expand"
  | "slice"
  | "pad"
  | "concat"
  | "gather"
  | "scatterAdd";

/** ONNX's way of saying "to before the first element" in a slice with negative step. */
const BEFORE_FIRST = -(2 ** 31);

export const LAYOUT = {
  constant: (emit, { attributes: { value } }) => emit.constant(value),
  dimension: (emit, { attributes: { dim } }) =>
    emit.node("Reshape", [emit.dim(dim), emit.constant(int64([0], []))]),
  iota: (emit, { attributes: { length } }) => {
    const end = emit.node("Reshape", [emit.dim(length), emit.constant(int64([0], []))]);
    return emit.node("Range", [emit.constant(int64([], [0])), end, emit.constant(int64([], [1]))]);
  },
  reshape: (emit, { inputs: [from], shape }, [x]) =>
    emit.node("Reshape", [x, emit.reshapeTarget(from.shape, shape)]),
  transpose: (emit, { attributes: { permutation } }, [x]) =>
    emit.node("Transpose", [x], { perm: { ints: permutation } }),
  expand: (emit, { shape }, [x]) => emit.node("Expand", [x, emit.shape(shape)]),
  slice: (emit, { attributes: { axis, start, end, step } }, [x]) => {
    const last = step < 0 && end === -1 ? emit.ints([BEFORE_FIRST]) : emit.dim(end);
    return emit.node("Slice", [x, emit.dim(start), last, emit.ints([axis]), emit.ints([step])]);
  },
  pad: (emit, { attributes: { before, after, value }, dtype }, [x]) => {
    const padding = value === 0 || dtype !== "float32" ? [] : [emit.scalar(value)];
    return emit.node("Pad", [x, emit.ints([...before, ...after]), ...padding]);
  },
  concat: (emit, { attributes: { axis } }, inputs) =>
    emit.node("Concat", inputs, { axis: { i: axis } }),
  gather: (emit, { attributes: { axis } }, inputs) =>
    emit.node("Gather", inputs, { axis: { i: axis } }),
  scatterAdd: (emit, node, [updates, indices]) => {
    // ScatterND adds whole slices at the leading axis: the scattered axis is brought to the front and back.
    const { axis, size } = node.attributes;
    const [values, where] = node.inputs;
    const count = sizeOfShape(where.shape);
    const before = values.shape.slice(0, axis);
    const after = values.shape.slice(axis + where.shape.length);
    const flat = [...before, count, ...after];
    const merged = emit.node("Reshape", [updates, emit.shape(flat)]);
    const front = [axis, ...flat.map((_, i) => i).filter((i) => i !== axis)];
    const moved = axis === 0 ? merged : emit.node("Transpose", [merged], { perm: { ints: front } });
    const zeros = emit.node("Expand", [
      emit.constant(float32([1], [0])),
      emit.shape([size, ...before, ...after]),
    ]);
    const at = emit.node("Reshape", [indices, emit.shape([count, 1])]);
    const scattered = emit.node("ScatterND", [zeros, at, moved], { reduction: { s: "add" } });
    if (axis === 0) return scattered;
    return emit.node("Transpose", [scattered], {
      perm: { ints: front.map((_, i) => front.indexOf(i)) },
    });
  },
} as const satisfies { readonly [P in Layout]: EmitRule<P> };
