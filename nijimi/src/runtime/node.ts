/**
 * ONNX Runtime in Node: the native engine where the optional package onnxruntime-node is installed,
 * onnxruntime-web's WASM otherwise.
 */
import type { Device, Engine } from "./engine.ts";
import { loadWebEngine } from "./web.ts";

let loaded: Promise<Engine> | undefined;

/** The engine of this process; loaded when first asked for. */
export function loadEngine(): Promise<Engine> {
  loaded ??= loadNative().catch((cause: unknown) => {
    process.emitWarning(
      "onnxruntime-node is not installed, so networks run on WASM, which is several times slower. Add the native engine with: npm install onnxruntime-node",
      {
        code: "NIJIMI_WASM_FALLBACK",
        detail: cause instanceof Error ? cause.message : String(cause),
      },
    );
    return loadWebEngine();
  });
  return loaded;
}

async function loadNative(): Promise<Engine> {
  const module = await import("onnxruntime-node");
  const ort = "default" in module ? (module.default as typeof module) : module;
  const present = ort.listSupportedBackends().map(({ name }) => name);
  const devices = (["cpu", "webgpu", "cuda", "coreml", "dml"] as const).filter((device) =>
    present.includes(device),
  );
  return {
    name: "onnxruntime-node",
    InferenceSession: ort.InferenceSession,
    Tensor: ort.Tensor,
    devices,
    providerOf: (device: Device) => device,
  };
}
