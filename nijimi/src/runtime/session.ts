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
import {
  type Device,
  DEVICES,
  type Engine,
  type SerialisedModel,
  type Session,
  type SessionSettings,
} from "./engine.ts";

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
  /** Give memory back between runs instead of keeping it for the next: slower, smaller. @default false */
  readonly frugal?: boolean;
  /** Keep the thread free: run in a worker (Node). @default false */
  readonly worker?: boolean;
  /** Folder in which optimised graphs are kept (Node). @default none */
  readonly cacheFolder?: string;
  /** Raw session configuration entries of ONNX Runtime, e.g. `{"session.intra_op.allow_spinning": "0"}`. */
  readonly config?: Readonly<Record<string, string>>;
}

const KNOWN_OPTIONS = [
  "device",
  "threads",
  "weightsFolder",
  "optimization",
  "frugal",
  "worker",
  "cacheFolder",
  "config",
  "parameters",
  "rewrite",
];
const OPTIMIZATIONS = ["disabled", "basic", "extended", "all"] as const;
/** Weights above this size are handed over beside the model instead of inside it. */
const LARGEST_INLINE = 1024;

/**
 * Loads a model.
 *
 * @throws NijimiError `device` when the device is not present, `option` for unknown options, `runtime` when the engine
 * refuses the model, `memory` when it does not fit
 */
export async function createSession(
  model: OnnxModel,
  options: SessionOptions = {},
): Promise<Session> {
  checkOptions(options);
  const engine = await loadEngine();
  const settings: SessionSettings = {
    device: chooseDevice(engine, options.device),
    threads: options.threads,
    weightsFolder: options.weightsFolder,
    optimization: options.optimization ?? "all",
    frugal: options.frugal ?? false,
    config: options.config ?? {},
  };
  const open = options.worker === true ? engine.startWorker : openSession.bind(null, engine);
  if (open === undefined)
    throw new NijimiError(
      "unsupported",
      "Sessions start no worker of their own in a browser; call compile() inside a worker of the page.",
    );
  return guarded(await openPrepared(engine, model, settings, options.cacheFolder, open));
}

/** Opens a session on the model's optimised form where that is kept, else with its weights as they load best. */
async function openPrepared(
  engine: Engine,
  model: OnnxModel,
  settings: SessionSettings,
  cacheFolder: string | undefined,
  open: (model: SerialisedModel, settings: SessionSettings) => Promise<Session>,
): Promise<Session> {
  const serialised = serialise(model);
  const cached =
    cacheFolder === undefined
      ? undefined
      : await engine.findCached?.(serialised, settings, cacheFolder);
  const inUse = { ...settings, cacheEntry: cached };
  const { device, weightsFolder } = settings;
  if (cached?.isThere || device !== "cpu" || weightsFolder === undefined)
    return open(serialised, inUse);
  const wide = await engine.widenWeights?.(model, weightsFolder);
  if (wide === undefined) return open(serialised, inUse);
  try {
    return await open(serialise(wide.model), { ...inUse, weightsFolder: wide.weightsFolder });
  } finally {
    await wide.remove();
  }
}

/** A session in this thread. */
export async function openSession(
  engine: Engine,
  model: SerialisedModel,
  settings: SessionSettings,
): Promise<Session> {
  const session = await attempt("loading a graph", () => engine.load(model, settings));
  return {
    run: (feeds, outputs) => runSession(engine, session, feeds, outputs),
    dispose: () => session.release(),
  };
}

/** Disposes once, and refuses to run afterwards. */
function guarded(session: Session): Session {
  let disposed: Promise<void> | undefined;
  return {
    async run(feeds, outputs) {
      if (disposed !== undefined)
        throw new NijimiError("runtime", "This session was disposed; compile again.");
      return session.run(feeds, outputs);
    },
    dispose: () => (disposed ??= session.dispose()),
  };
}

/** The devices of this process, the default first. */
export async function listDevices(): Promise<readonly Device[]> {
  return (await loadEngine()).devices;
}

function checkOptions(options: SessionOptions): void {
  for (const key of Object.keys(options))
    if (!KNOWN_OPTIONS.includes(key)) throw unknownName("session option", key, KNOWN_OPTIONS);
  const { optimization, threads, device } = options;
  if (optimization !== undefined && !OPTIMIZATIONS.includes(optimization))
    throw unknownName("optimization", optimization, OPTIMIZATIONS);
  if (device !== undefined && !DEVICES.includes(device))
    throw unknownName("device", device, DEVICES);
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 1))
    throw new NijimiError("option", `threads: got ${threads}; expected a whole number ≥ 1.`);
}

function chooseDevice(engine: Engine, wanted: Device | undefined): Device {
  if (wanted === undefined) return engine.devices[0];
  const present =
    engine.devices.includes(wanted) || (wanted === "cpu" && engine.devices.includes("wasm"));
  if (!present)
    throw new NijimiError(
      "device",
      `Device "${wanted}" is not available with ${engine.name}; present: ${engine.devices.join(", ")}.`,
    );
  return wanted;
}

/**
 * Moves large weights in memory out of the protobuf, so that they are neither copied nor bound by its 2 GB. Not
 * where others stay in files: the runtime reads weights from files or from memory, never from both.
 */
function serialise(model: OnnxModel): SerialisedModel {
  const files = new Set(
    model.graph.initializers.flatMap(({ value }) => (isExternal(value) ? [value.location] : [])),
  );
  if (files.size > 0) return { bytes: encodeModel(model), weights: [], files: [...files] };
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
  return {
    bytes: encodeModel({ ...model, graph: { ...model.graph, initializers } }),
    weights,
    files: [],
  };
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
    const outOfMemory =
      /bad_alloc|out of memory|Failed to allocate|Array buffer allocation|memory access out of bounds/i.test(
        message,
      );
    throw new NijimiError(
      outOfMemory ? "memory" : "runtime",
      `ONNX Runtime failed ${what}: ${message}`,
      { cause },
    );
  }
}
