export { mergeDeltas, readDelta } from "./adapters/delta.ts";
export type { FullDelta, LowRankDelta, WeightDelta, WeightedDelta } from "./adapters/delta.ts";
export * from "./adapters/lora.ts";
export type { AdapterTarget, AdapterTargets } from "./adapters/targets.ts";
export * from "./adapters/textual-inversion.ts";
export * from "./checkpoint.ts";
export * from "./convert.ts";
export * from "./files/byte-source.ts";
export * from "./files/folder.ts";
export * from "./files/http-source.ts";
export * from "./files/open-source.ts";
export * from "./json.ts";
export { crossAttentionPaths, ipAdapterMap } from "./layouts/authors/ip-adapter.ts";
export { clipTextMap, clipVisionMap } from "./layouts/clip.ts";
export { autoencoderMap, pyramidOutline } from "./layouts/autoencoder.ts";
export type { Component, Mismatch } from "./layouts/component.ts";
export { FAMILIES } from "./layouts/families.ts";
export type { Family, Support } from "./layouts/families.ts";
export { prefixed, toForeign, toOurs, type KeyMap, type Mapped } from "./layouts/key-map.ts";
export * from "./layouts/load.ts";
export * from "./layouts/open.ts";
export { outlineOfConfig, type UNetOutline } from "./layouts/unet-outline.ts";
export { parseNpy } from "./numpy/npy.ts";
export { writeNpz } from "./numpy/write-npz.ts";
export * from "./open-checkpoint.ts";
export { loadQuantized, type LoadQuantizedOptions } from "./quantized/cache.ts";
export { QUANTIZED_PRECISIONS, type QuantizedPrecision } from "./quantized/policy.ts";
export {
  type Quantization,
  quantizeCheckpoint,
  type QuantizeOptions,
} from "./quantized/quantize.ts";
export * from "./report/inspect.ts";
export * from "./safetensors.ts";
export * from "./save-folder.ts";
export * from "./save-safetensors.ts";
export { openSharded } from "./sharded.ts";
export * from "./storage/model-store.ts";
export { keepStorage, showBytes, storageRoom, type StorageRoom } from "./storage/room.ts";
