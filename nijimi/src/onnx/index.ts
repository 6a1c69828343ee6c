export { type Bindings, emit } from "./emit.ts";
export type { EmitOptions } from "./emitter.ts";
export { type ExportedModel, exportOnnx, type ExportOptions } from "./export.ts";
export * from "./model.ts";
export { encodeModel, ONNX_DTYPES } from "./protobuf.ts";
