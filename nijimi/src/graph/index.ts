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
} from "./primitives.ts";
export { simplify } from "./simplify.ts";
export * from "./trace.ts";
