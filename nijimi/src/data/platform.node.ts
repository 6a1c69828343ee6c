/** What loading needs of Node: worker threads. */
import { NijimiError } from "../errors.ts";
import { startWorker } from "../internal/worker.node.ts";
import type { Batch, DataPosition } from "./batches.ts";
import type { LoaderOptions } from "./loader.ts";
import type { DatasetSpec } from "./open-dataset.ts";
import type { Platform } from "./platform.ts";

/** What a worker is started with. */
export interface WorkerTask {
  readonly dataset: DatasetSpec;
  readonly options: Omit<LoaderOptions, "signal" | "decode">;
  readonly from: DataPosition;
}

/** What a worker sends: a batch, its end, or why it stopped. */
export type WorkerMessage =
  | { readonly batch: Batch }
  | { readonly end: true }
  | { readonly error: { readonly code: string; readonly message: string } };

/** Batches from worker threads: worker w of W makes every W-th batch, beginning with the w-th. */
export const batchesInWorkers: Platform["batchesInWorkers"] = async function* (
  dataset,
  options,
  from,
) {
  const { workers = 1, ahead = 4, signal, decode: _decode, ...rest } = options;
  const threads = Array.from({ length: workers }, (_, offset) =>
    startLoading(
      { dataset, options: { ...rest, every: { step: workers, offset } }, from },
      Math.ceil(ahead / workers),
    ),
  );
  try {
    for (let turn = 0; ; turn = (turn + 1) % workers) {
      if (signal?.aborted)
        throw new NijimiError("cancelled", "Loading was cancelled.", { cause: signal.reason });
      const batch = await threads[turn].next();
      if (!batch) return;
      yield batch;
    }
  } finally {
    await Promise.all(threads.map((thread) => thread.stop()));
  }
};

interface LoadingThread {
  /** The next batch; undefined at the end. */
  next(): Promise<Batch | undefined>;
  stop(): Promise<unknown>;
}

/** Starts a thread that keeps up to `ahead` batches ready. */
function startLoading(task: WorkerTask, ahead: number): LoadingThread {
  const worker = startWorker("./loader-worker.node", import.meta.url, { workerData: task });
  const arrived: WorkerMessage[] = [];
  let wake: (() => void) | undefined;
  const arrive = (message: WorkerMessage): void => {
    arrived.push(message);
    wake?.();
  };
  worker.on("message", arrive);
  worker.on("error", (error) => arrive({ error: { code: "internal", message: error.message } }));
  worker.on("exit", () => arrive({ end: true }));
  for (let i = 0; i < ahead; i++) worker.postMessage("next");
  return {
    async next() {
      while (arrived.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      const message = arrived.shift()!;
      if ("error" in message)
        throw new NijimiError(message.error.code as NijimiError["code"], message.error.message);
      if ("end" in message) return undefined;
      worker.postMessage("next");
      return message.batch;
    },
    stop: () => worker.terminate(),
  };
}
