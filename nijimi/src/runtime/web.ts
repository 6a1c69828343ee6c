/** ONNX Runtime in the browser, and in Node where the native engine is absent. */
import type { Engine } from "./engine.ts";
import { engineOptions } from "./engine.ts";

let loaded: Promise<Engine> | undefined;

/** The engine of this page or worker; loaded when first asked for. */
export function loadEngine(): Promise<Engine> {
  loaded ??= loadWebEngine();
  return loaded;
}

/** onnxruntime-web: WASM everywhere, WebGPU where the platform has it. */
export async function loadWebEngine(): Promise<Engine> {
  const gpu = await hasGpu();
  // The default build's older WebGPU kernels compute some convolutions and poolings wrongly.
  const ort = await (gpu ? import("onnxruntime-web/webgpu") : import("onnxruntime-web"));
  return {
    name: "onnxruntime-web",
    Tensor: ort.Tensor,
    devices: gpu ? ["wasm", "webgpu"] : ["wasm"],
    load: (model, settings) =>
      ort.InferenceSession.create(
        model.bytes,
        engineOptions(model, settings, settings.device === "cpu" ? "wasm" : settings.device),
      ),
  };
}

/** A browser may know WebGPU and still have no GPU for it. */
async function hasGpu(): Promise<boolean> {
  if (typeof navigator === "undefined" || !("gpu" in navigator)) return false;
  return (await navigator.gpu.requestAdapter().catch(() => null)) !== null;
}
