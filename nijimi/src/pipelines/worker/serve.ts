/**
 * The worker's side: pipelines and the store of models, called by messages. A page that computes itself does not
 * react while a network runs; and files are written in workers only.
 */
import type { SourceInput } from "../../checkpoints/files/open-source.ts";
import { filesFolder, type Folder } from "../../checkpoints/files/folder.ts";
import { type ModelStore, openModelStore } from "../../checkpoints/storage/model-store.ts";
import { storageRoom } from "../../checkpoints/storage/room.ts";
import { isNijimiError, NijimiError } from "../../errors.ts";
import { listDevices } from "../../runtime/session.ts";
import { loadPipeline, type Pipeline } from "../pipeline.ts";
import type {
  CallName,
  Calls,
  FromWorker,
  ModelInput,
  PickedFolder,
  Port,
  ToWorker,
  WorkerPipelineOptions,
} from "./protocol.ts";
import { TASKS } from "./tasks.ts";

type Answer<Name extends CallName> = AsyncGenerator<
  Calls[Name]["event"],
  Calls[Name]["result"],
  undefined
>;
type Handlers = {
  readonly [Name in CallName]: (input: Calls[Name]["input"], signal: AbortSignal) => Answer<Name>;
};

/**
 * Answers the calls that come through `port`. This one line is a whole worker:
 *
 * @param port a worker's global scope
 * @example
 * servePipelines(globalThis); // worker.js; the page: connectPipelines(new Worker(new URL("worker.js", import.meta.url), …))
 */
export function servePipelines(port: Port): void {
  const handlers = makeHandlers();
  const running = new Map<number, AbortController>();

  async function answer(id: number, name: CallName, input: unknown): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const handler = handlers[name] as (given: unknown, signal: AbortSignal) => Answer<CallName>;
      const events = handler(input, controller.signal);
      let step = await events.next();
      for (; step.done !== true; step = await events.next())
        send({ id, type: "event", event: step.value });
      send({ id, type: "result", result: step.value });
    } catch (error) {
      send({ id, type: "error", ...describeError(error) });
    } finally {
      running.delete(id);
    }
  }

  const send = (message: FromWorker) => port.postMessage(message);
  port.addEventListener("message", (event) => {
    const { data } = event as MessageEvent<ToWorker>;
    if (data.call === "cancel") running.get(data.id)?.abort();
    else void answer(data.id, data.call, data.input);
  });
  port.start?.();
}

function describeError(error: unknown): Pick<NijimiError, "code" | "message"> {
  if (isNijimiError(error)) return { code: error.code, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  return { code: "internal", message: `internal: ${message}` };
}

function makeHandlers(): Handlers {
  const pipelines = new Map<number, Pipeline>();
  let models = 0;
  let opening: Promise<ModelStore> | undefined;
  const store = () => (opening ??= openModelStore());
  const pipelineOf = (model: number): Pipeline => {
    const pipeline = pipelines.get(model);
    if (pipeline === undefined)
      throw new NijimiError("option", "This model was closed in the worker; load it again.");
    return pipeline;
  };
  return {
    devices: once(async () => ({
      devices: await listDevices(),
      hasThreads: globalThis.crossOriginIsolated,
    })),
    load: once(async ({ input, options }, signal) => {
      const http = { signal };
      const [device] = await listDevices();
      const pipeline = await loadPipeline(await sourceOf(input, store), {
        device,
        ...(await localOptions(options, store)),
        http,
      });
      pipelines.set(models, pipeline);
      const { name, family, isSdxl, defaultSize, notes, autoencoder } = pipeline;
      const sizeFactor = autoencoder.factor;
      return { model: models++, info: { name, family, isSdxl, defaultSize, sizeFactor, notes } };
    }),
    async *generate({ model, task, request }, signal) {
      yield* TASKS[task](pipelineOf(model), request as never, { signal });
      return undefined;
    },
    close: once(async ({ model }) => {
      const pipeline = pipelineOf(model);
      pipelines.delete(model);
      await pipeline.close();
      return undefined;
    }),
    room: once(() => storageRoom()),
    list: once(async () => (await store()).list()),
    async *save({ name, files }, signal) {
      return yield* (await store()).save(name, files, { http: { signal } });
    },
    remove: once(async ({ name }) => (await store()).remove(name)) as Handlers["remove"],
  };
}

/** A call without events. */
function once<Input, Result>(action: (input: Input, signal: AbortSignal) => Promise<Result>) {
  // oxlint-disable-next-line require-yield
  return async function* (
    input: Input,
    signal: AbortSignal,
  ): AsyncGenerator<never, Result, undefined> {
    return action(input, signal);
  };
}

type Store = () => Promise<ModelStore>;

async function sourceOf(input: ModelInput, store: Store): Promise<SourceInput | Folder> {
  if (typeof input === "string" || input instanceof Blob) return input;
  return "stored" in input ? (await store()).open(input.stored) : folderOf(input);
}

function folderOf({ name, files }: PickedFolder): Folder {
  return filesFolder(new Map(files.map(({ path, file }) => [path, file])), name);
}

/** The options with opened sources. */
async function localOptions(options: WorkerPipelineOptions, store: Store) {
  const { vae, previewDecoder, imageEncoder, tokenizers, ...plain } = options;
  const { loras, embeddings, controlNets, adapters, imagePrompts, ...others } = plain;
  const opened: Record<string, unknown> = { ...others };
  const single = { vae, previewDecoder, imageEncoder };
  for (const [name, input] of Object.entries(single))
    if (input !== undefined) opened[name] = await sourceOf(input, store);
  const several = { loras, embeddings, controlNets, adapters, imagePrompts };
  for (const [name, inputs] of Object.entries(several)) {
    if (inputs === undefined) continue;
    const sources: Record<string, SourceInput | Folder> = {};
    for (const [own, input] of Object.entries(inputs)) sources[own] = await sourceOf(input, store);
    opened[name] = sources;
  }
  if (tokenizers !== undefined)
    opened.tokenizers = Object.fromEntries(
      Object.entries(tokenizers).map(([name, folder]) => [name, folderOf(folder)]),
    );
  return opened;
}
