/**
 * Sessions: an ONNX model loaded by the engine, run on host tensors.
 * Errors of the runtime come out as {@link NijimiError}s that say what was attempted.
 */
import { loadEngine } from "#runtime";
import type * as ort from "onnxruntime-common";
import { NijimiError, unknownName } from "../errors.ts";
import { isExternal, type OnnxModel } from "../onnx/model.ts";
import { encodeModel, rawBytes } from "../onnx/protobuf.ts";
import type { DType } from "../tensor/dtype.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { type Device, DEVICES, type Engine } from "./engine.ts";

/** Options of a session. */
export interface SessionOptions {
  /** @default "cpu" in Node, "wasm" in the browser */
  readonly device?: Device;
  /** Threads of one run. @default the engine's choice (the machine's cores) */
  readonly threads?: number;
  /** Folder that external data's locations are relative to. */
  readonly weightsFolder?: string;
  /** How much the runtime optimises. @default "all" */
  readonly optimization?: "disabled" | "basic" | "extended" | "all";
  /** Raw session configuration entries of ONNX Runtime, e.g. `{"session.use_env_allocators": "1"}`. */
  readonly config?: Readonly<Record<string, string>>;
}

/** A loaded model. Dispose it to give its memory back. */
export interface Session {
  run(
    feeds: Readonly<Record<string, Tensor>>,
    outputs?: readonly string[],
  ): Promise<Record<string, Tensor>>;
  dispose(): Promise<void>;
}

/** Weights above this size are handed over beside the model instead of inside it. */
const LARGEST_INLINE = 1024;

/**
 * Loads a model.
 *
 * @throws NijimiError `device` when the device is not present, `runtime` when the engine refuses the model
 */
export async function createSession(
  model: OnnxModel,
  options: SessionOptions = {},
): Promise<Session> {
  const engine = await loadEngine();
  const device = chooseDevice(engine, options.device);
  const { slim, weights } = separateWeights(model);
  const folder = options.weightsFolder;
  const configuration = {
    ...options.config,
    ...(folder === undefined
      ? {}
      : { "session.model_external_initializers_file_folder_path": folder }),
  };
  const sessionOptions: ort.InferenceSession.SessionOptions = {
    executionProviders: [engine.providerOf(device)],
    graphOptimizationLevel: options.optimization ?? "all",
    ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
    ...(weights.length === 0 ? {} : { externalData: weights }),
    logSeverityLevel: 3,
    extra: nestedConfig(configuration),
  };
  const session = await attempt("loading a graph", () =>
    engine.InferenceSession.create(encodeModel(slim), sessionOptions),
  );
  return {
    run: (feeds, outputs) => runSession(engine, session, feeds, outputs),
    dispose: () => session.release(),
  };
}

/** The devices of this process, the default first. */
export async function listDevices(): Promise<readonly Device[]> {
  return (await loadEngine()).devices;
}

function chooseDevice(engine: Engine, wanted: Device | undefined): Device {
  if (wanted === undefined) return engine.devices[0];
  if (!DEVICES.includes(wanted)) throw unknownName("device", wanted, DEVICES);
  const present = wanted === "cpu" || engine.devices.includes(wanted);
  if (!present)
    throw new NijimiError(
      "device",
      `Device "${wanted}" is not available with ${engine.name}; present: ${engine.devices.join(", ")}.`,
    );
  return wanted;
}

/** ONNX Runtime's JavaScript takes configuration entries as nested records split at the dots. */
function nestedConfig(entries: Readonly<Record<string, string>>): Record<string, unknown> {
  const nested: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(entries)) {
    const path = key.split(".");
    let at = nested;
    for (const step of path.slice(0, -1)) at = (at[step] ??= {}) as Record<string, unknown>;
    at[path[path.length - 1]] = value;
  }
  return nested;
}

/** Moves large weights in memory out of the protobuf, so that they are neither copied nor bound by its 2 GB. */
function separateWeights(model: OnnxModel): {
  slim: OnnxModel;
  weights: ort.InferenceSession.SessionOptions["externalData"] & object;
} {
  const weights: { path: string; data: Uint8Array }[] = [];
  const initializers = model.graph.initializers.map((initializer) => {
    const { name, value } = initializer;
    if (isExternal(value)) return initializer;
    const data = rawBytes(value);
    if (data.length <= LARGEST_INLINE) return initializer;
    weights.push({ path: name, data });
    return {
      name,
      value: {
        dtype: value.dtype,
        shape: value.shape,
        location: name,
        offset: 0,
        length: data.length,
      },
    };
  });
  return { slim: { ...model, graph: { ...model.graph, initializers } }, weights };
}

async function runSession(
  engine: Engine,
  session: ort.InferenceSession,
  feeds: Readonly<Record<string, Tensor>>,
  outputs: readonly string[] | undefined,
): Promise<Record<string, Tensor>> {
  const inputs: Record<string, ort.Tensor> = {};
  for (const [name, value] of Object.entries(feeds)) inputs[name] = toOrt(engine, value);
  const results = await attempt("running a graph", () =>
    outputs === undefined ? session.run(inputs) : session.run(inputs, outputs),
  );
  const host: Record<string, Tensor> = {};
  for (const [name, value] of Object.entries(results)) {
    const data =
      value.location === "cpu" || value.location === "cpu-pinned"
        ? value.data
        : await value.getData(true);
    host[name] = tensor(value.type as DType, value.dims, data as never);
  }
  return host;
}

function toOrt(engine: Engine, { dtype, shape, data }: Tensor): ort.Tensor {
  const Construct = engine.Tensor as unknown as new (
    type: string,
    data: unknown,
    dims: readonly number[],
  ) => ort.Tensor;
  return new Construct(dtype, data, shape);
}

async function attempt<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const outOfMemory = /bad_alloc|out of memory|Failed to allocate|Array buffer allocation/i.test(
      message,
    );
    throw new NijimiError(
      outOfMemory ? "memory" : "runtime",
      `ONNX Runtime failed ${what}: ${message}`,
      { cause },
    );
  }
}
