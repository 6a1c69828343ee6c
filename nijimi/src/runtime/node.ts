/**
 * ONNX Runtime in Node: the native engine where the optional package onnxruntime-node is installed,
 * onnxruntime-web's WASM otherwise.
 */
import { findBlockedChannels } from "./blocked-channels.ts";
import type { Engine } from "./engine.ts";
import { engineOptions } from "./engine.ts";
import { findCached, loadThroughCache } from "./node-cache.ts";
import { widenWeights } from "./node-wide-weights.ts";
import { startWorkerSession } from "./node-worker-session.ts";
import { loadWebEngine } from "./web.ts";

let loaded: Promise<Engine> | undefined;
let blocked: Promise<number | undefined> | undefined;

/** The engine of this process; loaded when first asked for. */
export function loadEngine(): Promise<Engine> {
  loaded ??= loadNative().catch(async (cause: unknown) => {
    process.emitWarning(
      "onnxruntime-node is not installed, so networks run on WASM, which is several times slower. Add the native engine with: npm install onnxruntime-node",
      {
        code: "NIJIMI_WASM_FALLBACK",
        detail: cause instanceof Error ? cause.message : String(cause),
      },
    );
    return { ...(await loadWebEngine()), startWorker: startWorkerSession };
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
    Tensor: ort.Tensor,
    devices,
    blockedChannels: () =>
      (blocked ??= findBlockedChannels(
        (model) =>
          ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 }),
        ({ data, shape }) => new ort.Tensor("float32", data as Float32Array, shape),
      )),
    load: (model, settings) =>
      settings.cacheEntry === undefined
        ? ort.InferenceSession.create(model.bytes, engineOptions(model, settings, settings.device))
        : loadThroughCache(ort.InferenceSession, model, settings, settings.cacheEntry),
    findCached: (model, settings, cacheFolder) =>
      findCached(model, settings, cacheFolder, ort.env.versions.node ?? ort.env.versions.common),
    widenWeights,
    startWorker: startWorkerSession,
  };
}
