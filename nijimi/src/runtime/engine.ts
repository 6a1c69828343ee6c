/** What sessions need from ONNX Runtime, whichever build of it is present. */
import type * as ort from "onnxruntime-common";
import type { OnnxModel } from "../onnx/model.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Where a graph runs. `wasm` is the portable CPU engine of onnxruntime-web. */
export const DEVICES = ["cpu", "webgpu", "cuda", "coreml", "dml", "wasm"] as const;
export type Device = (typeof DEVICES)[number];

/** A model ready for the engine: its protobuf, and the weights beside it, in memory or in files. */
export interface SerialisedModel {
  readonly bytes: Uint8Array;
  /** Files below the weights' folder that the model points into. */
  readonly files: readonly string[];
  readonly weights: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** A place for a model's optimised form. */
export interface CacheEntry {
  readonly folder: string;
  /** Whether the folder is filled. */
  readonly isThere: boolean;
}

/** A model whose weights lie in a temporary folder of their own. */
export interface WideModel {
  readonly model: OnnxModel;
  readonly weightsFolder: string;
  /** Removes the folder; what the runtime has mapped stays. */
  remove(): Promise<void>;
}

/** How a session is made; plain data, so that it can cross to a worker. */
export interface SessionSettings {
  readonly device: Device;
  readonly threads?: number;
  readonly weightsFolder?: string;
  readonly optimization: "disabled" | "basic" | "extended" | "all";
  readonly frugal: boolean;
  readonly config: Readonly<Record<string, string>>;
  /** This model's optimised form, to load or to fill; not kept when absent. */
  readonly cacheEntry?: CacheEntry;
}

/** A loaded model. Dispose it to give its memory back. */
export interface Session {
  /** @param outputs names of the wanted outputs @default all */
  run(
    feeds: Readonly<Record<string, Tensor>>,
    outputs?: readonly string[],
  ): Promise<Record<string, Tensor>>;
  dispose(): Promise<void>;
}

/** A loaded ONNX Runtime. `node.ts` and `web.ts` each provide one, chosen by the package's "#runtime" import. */
export interface Engine {
  readonly name: "onnxruntime-node" | "onnxruntime-web";
  readonly Tensor: typeof ort.Tensor;
  /** Devices that can be asked for, the default first. */
  readonly devices: readonly Device[];
  /** Channels in a block of the engine's blocked convolution on the CPU; absent where there is none. */
  readonly blockedChannels?: () => Promise<number | undefined>;
  load(model: SerialisedModel, settings: SessionSettings): Promise<ort.InferenceSession>;
  /** Where the optimised form of a model is kept, and whether it is there; absent where nothing is kept. */
  readonly findCached?: (
    model: SerialisedModel,
    settings: SessionSettings,
    cacheFolder: string,
  ) => Promise<CacheEntry>;
  /** Half-precision weights in files as float32 ones; absent where loading needs no help. */
  readonly widenWeights?: (
    model: OnnxModel,
    weightsFolder: string,
  ) => Promise<WideModel | undefined>;
  /** A session in a thread of its own; absent where the platform has none. */
  readonly startWorker?: (model: SerialisedModel, settings: SessionSettings) => Promise<Session>;
}

/** The engine's own options for a session. */
export function engineOptions(
  { weights }: Pick<SerialisedModel, "weights">,
  { threads, weightsFolder, optimization, frugal, config }: SessionSettings,
  provider: string,
): ort.InferenceSession.SessionOptions {
  const entries = {
    ...config,
    ...(weightsFolder === undefined
      ? {}
      : { "session.model_external_initializers_file_folder_path": weightsFolder }),
  };
  return {
    executionProviders: [provider],
    graphOptimizationLevel: optimization,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...(frugal ? { enableCpuMemArena: false, enableMemPattern: false } : {}),
    ...(weights.length === 0 ? {} : { externalData: [...weights] }),
    logSeverityLevel: 4,
    extra: nested(entries),
  };
}

/** ONNX Runtime's JavaScript takes configuration entries as nested records split at the dots. */
function nested(entries: Readonly<Record<string, string>>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(entries)) {
    const path = key.split(".");
    let at = root;
    for (const step of path.slice(0, -1)) at = (at[step] ??= {}) as Record<string, unknown>;
    at[path[path.length - 1]] = value;
  }
  return root;
}
