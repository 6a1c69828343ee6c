export * from "./dim.ts";
export * from "./gradient.ts";
export * from "./ops.ts";
export type {
  ConvGeometry,
  PoolGeometry,
  PrimitiveAttributes,
  PrimitiveName,
  ResizeCoordinates,
  Sym,
  WeightBlocks,
} from "./primitives.ts";
export { type QuantizedForm, type QuantizedForms, quantizeWeights } from "./quantize-weights.ts";
export { simplify } from "./simplify.ts";
export * from "./trace.ts";
