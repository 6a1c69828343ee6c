/** ONNX Runtime in the browser, and in Node where the native engine is absent. */
import type { Engine } from "./engine.ts";

let loaded: Promise<Engine> | undefined;

/** The engine of this page or worker; loaded when first asked for. */
export function loadEngine(): Promise<Engine> {
  loaded ??= loadWebEngine();
  return loaded;
}

/** onnxruntime-web: WASM everywhere, WebGPU where the platform has it. */
export async function loadWebEngine(): Promise<Engine> {
  const gpu = typeof navigator !== "undefined" && "gpu" in navigator;
  // The default build's older WebGPU kernels compute some convolutions and poolings wrongly.
  const ort = await (gpu ? import("onnxruntime-web/webgpu") : import("onnxruntime-web"));
  return {
    name: "onnxruntime-web",
    InferenceSession: ort.InferenceSession,
    Tensor: ort.Tensor,
    devices: gpu ? ["wasm", "webgpu"] : ["wasm"],
    providerOf: (device) => (device === "cpu" ? "wasm" : device),
  };
}
