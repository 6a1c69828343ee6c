/** Emission of elementwise primitives and reductions. */
import { isPrimitive, type PrimitiveName, type Sym } from "../../graph/primitives.ts";
import { ONNX_DTYPES } from "../protobuf.ts";
import type { EmitRule } from "./rule.ts";

type Elementwise =
  | "neg" | "abs" | "sign" | "exp" | "log" | "sqrt" | "sin" | "cos" | "tanh" | "erf" | "sigmoid" | "floor" | "round" | "not"
  | "swish" | "gelu" | "cast" | "stopGradient"
  | "add" | "sub" | "mul" | "div" | "pow" | "max" | "min" | "equal" | "less" | "lessEqual" | "and" | "or" | "where"
  | "sum" | "sumSquares" | "mean" | "reduceMax" | "argMax" | "cumSum"; // prettier-ignore

/** An operator with the same meaning and no attributes. */
const plain =
  (opType: string): EmitRule<PrimitiveName> =>
  (emit, _, inputs) =>
    emit.node(opType, inputs);

function isZero(sym: Sym): boolean {
  return (
    isPrimitive(sym, "constant") &&
    sym.attributes.value.data.length === 1 &&
    Number(sym.attributes.value.data[0]) === 0
  );
}

const reduction =
  (opType: string): EmitRule<"sum" | "sumSquares" | "mean" | "reduceMax"> =>
  (emit, { attributes: { axes, keepDims } }, [x]) =>
    emit.node(opType, [x, emit.ints(axes)], { keepdims: { i: keepDims ? 1 : 0 } });

export const ELEMENTWISE = {
  neg: plain("Neg"),
  abs: plain("Abs"),
  sign: plain("Sign"),
  exp: plain("Exp"),
  log: plain("Log"),
  sqrt: plain("Sqrt"),
  sin: plain("Sin"),
  cos: plain("Cos"),
  tanh: plain("Tanh"),
  erf: plain("Erf"),
  sigmoid: plain("Sigmoid"),
  floor: plain("Floor"),
  round: plain("Round"),
  not: plain("Not"),
  stopGradient: (_, __, [x]) => x,
  swish: (emit, { attributes: { alpha } }, [x]) => {
    if (!emit.portable) return emit.contrib("QuickGelu", [x], { alpha: { f: alpha } });
    const scaled = alpha === 1 ? x : emit.node("Mul", [x, emit.scalar(alpha)]);
    return emit.node("Mul", [x, emit.node("Sigmoid", [scaled])]);
  },
  gelu: (emit, { attributes: { approximate } }, [x]) =>
    emit.node("Gelu", [x], { approximate: { s: approximate } }),
  cast: (emit, { attributes: { dtype } }, [x]) =>
    emit.node("Cast", [x], { to: { i: ONNX_DTYPES[dtype] } }),

  add: plain("Add"),
  sub: plain("Sub"),
  mul: plain("Mul"),
  div: plain("Div"),
  pow: plain("Pow"),
  max: (emit, { inputs: [a, b] }, [x, y]) => {
    if (isZero(b)) return emit.node("Relu", [x]);
    if (isZero(a)) return emit.node("Relu", [y]);
    return emit.node("Max", [x, y]);
  },
  min: plain("Min"),
  equal: plain("Equal"),
  less: plain("Less"),
  lessEqual: plain("LessOrEqual"),
  and: plain("And"),
  or: plain("Or"),
  where: plain("Where"),

  sum: reduction("ReduceSum"),
  sumSquares: reduction("ReduceSumSquare"),
  mean: reduction("ReduceMean"),
  reduceMax: reduction("ReduceMax"),
  argMax: (emit, { attributes: { axis } }, [x]) =>
    emit.node("ArgMax", [x], { axis: { i: axis }, keepdims: { i: 0 } }),
  cumSum: (emit, { attributes: { axis, reverse } }, [x]) =>
    emit.node("CumSum", [x, emit.ints([axis])], { reverse: { i: reverse ? 1 : 0 } }),
} as const satisfies { readonly [P in Elementwise]: EmitRule<P> };
