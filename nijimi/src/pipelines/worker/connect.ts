/** The page's side: pipelines in a worker, used as those of the library are. */
import { keepStorage, type StorageRoom } from "../../checkpoints/storage/room.ts";
import type {
  ModelFile,
  StoredModel,
  StoreProgress,
} from "../../checkpoints/storage/model-store.ts";
import { NijimiError } from "../../errors.ts";
import type { Generation, GenerationEvent } from "../events.ts";
import type { RunOptions } from "../job.ts";
import type {
  CallName,
  Calls,
  FromWorker,
  ModelInfo,
  ModelInput,
  Port,
  WorkerDevices,
  WorkerPipelineOptions,
} from "./protocol.ts";
import type { TaskName, Tasks } from "./tasks.ts";

/** A model that a worker has loaded. */
export interface WorkerPipeline extends ModelInfo {
  /**
   * Does a task there; events as of the library's function of that name. Leaving the iteration stops it.
   *
   * @throws NijimiError as that function does; `cancelled` when the signal fires
   */
  run<Task extends TaskName>(task: Task, request: Tasks[Task], options?: RunOptions): Generation;
  /** Gives its memory back. */
  close(): Promise<void>;
}

/** Models that the browser keeps for this site; see `ModelStore`. */
export interface WorkerStore {
  room(): Promise<StorageRoom | undefined>;
  list(): Promise<readonly StoredModel[]>;
  /** Asks the browser to keep what is stored, and stores. */
  save(
    name: string,
    files: readonly ModelFile[],
    options?: RunOptions,
  ): AsyncGenerator<StoreProgress, StoredModel, undefined>;
  remove(name: string): Promise<void>;
}

/** Pipelines in a worker. */
export interface PipelineWorker {
  devices(): Promise<WorkerDevices>;
  /** Loads a model there, as `loadPipeline` does. */
  load(
    input: ModelInput,
    options?: WorkerPipelineOptions,
    run?: RunOptions,
  ): Promise<WorkerPipeline>;
  readonly store: WorkerStore;
}

/**
 * Talks to a worker that runs `servePipelines`.
 *
 * @example
 * const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
 * const pipelines = connectPipelines(worker);
 * const model = await pipelines.load(file, { device: "webgpu" });
 * for await (const event of model.run("textToImage", { prompt: "a red cat", preview: {} })) show(event);
 */
export function connectPipelines(worker: Port): PipelineWorker {
  const call = caller(worker);
  const ask = async <Name extends CallName>(
    name: Name,
    input: Calls[Name]["input"],
    signal?: AbortSignal,
  ): Promise<Calls[Name]["result"]> => {
    const events = call(name, input, signal);
    let step = await events.next();
    while (step.done !== true) step = await events.next();
    return step.value;
  };
  return {
    devices: () => ask("devices", null),
    async load(input, options = {}, { signal } = {}) {
      const { model, info } = await ask("load", { input, options }, signal);
      return {
        ...info,
        run: (task, request, { signal: stop } = {}) =>
          call(
            "generate",
            { model, task, request } as Calls["generate"]["input"],
            stop,
          ) as Generation,
        close: () => ask("close", { model }),
      };
    },
    store: {
      room: () => ask("room", null),
      list: () => ask("list", null),
      async *save(name, files, { signal } = {}) {
        if (typeof navigator !== "undefined") await keepStorage();
        return yield* call("save", { name, files }, signal);
      },
      remove: (name) => ask("remove", { name }),
    },
  };
}

/** What a call waits for: messages as they come, and who is told of them. */
interface Pending {
  readonly messages: FromWorker[];
  wake(): void;
}

function caller(worker: Port) {
  const pending = new Map<number, Pending>();
  let calls = 0;
  let dead: NijimiError | undefined;

  const deliver = (message: FromWorker) => {
    const call = pending.get(message.id);
    call?.messages.push(message);
    call?.wake();
  };
  worker.addEventListener("message", (event) => deliver((event as MessageEvent<FromWorker>).data));
  worker.addEventListener("error", (event) => {
    const { message } = event as ErrorEvent;
    dead = new NijimiError(
      "runtime",
      `The worker failed: ${message || "its script did not load, or memory ran out"}. Start a new one.`,
    );
    for (const id of pending.keys())
      deliver({ id, type: "error", code: dead.code, message: dead.message });
  });
  worker.start?.();

  return async function* call<Name extends CallName>(
    name: Name,
    input: Calls[Name]["input"],
    signal?: AbortSignal,
  ): AsyncGenerator<Calls[Name]["event"], Calls[Name]["result"], undefined> {
    if (dead !== undefined) throw dead;
    if (signal?.aborted) throw new NijimiError("cancelled", "Cancelled before it began.");
    const id = calls++;
    let wake = () => {};
    const messages: FromWorker[] = [];
    pending.set(id, { messages, wake: () => wake() });
    const cancel = () => worker.postMessage({ id, call: "cancel" });
    signal?.addEventListener("abort", cancel);
    let isRunning = true;
    try {
      post(worker, { id, call: name, input });
      for (;;) {
        const message = messages.shift();
        if (message === undefined) {
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        isRunning = message.type === "event";
        if (message.type === "error") throw new NijimiError(message.code, message.message);
        if (message.type === "result") return message.result as Calls[Name]["result"];
        yield message.event as GenerationEvent & Calls[Name]["event"];
      }
    } finally {
      if (isRunning) cancel();
      signal?.removeEventListener("abort", cancel);
      pending.delete(id);
    }
  };
}

function post(
  worker: Port,
  message: { readonly call: string; readonly [key: string]: unknown },
): void {
  try {
    worker.postMessage(message);
  } catch (cause) {
    throw new NijimiError(
      "option",
      `${message.call}: the request holds something that cannot be sent to a worker, such as a function.`,
      { cause },
    );
  }
}
