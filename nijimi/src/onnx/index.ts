export { type Bindings, emit } from "./emit.ts";
export type { EmitOptions } from "./emitter.ts";
export * from "./model.ts";
export { encodeModel, ONNX_DTYPES } from "./protobuf.ts";
