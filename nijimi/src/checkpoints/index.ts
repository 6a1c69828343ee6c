export * from "./checkpoint.ts";
export * from "./files/byte-source.ts";
export * from "./files/folder.ts";
export * from "./files/http-source.ts";
export * from "./files/open-source.ts";
export * from "./json.ts";
export { parseNpy } from "./numpy/npy.ts";
export * from "./open-checkpoint.ts";
export * from "./safetensors.ts";
