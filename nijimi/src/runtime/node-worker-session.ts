/**
 * A session in a worker thread. ONNX Runtime's run blocks the thread it is called on, so whatever must stay
 * responsive (a server, progress, cancelling) keeps its sessions here. Same interface as a session in this thread;
 * inputs are copied once, results are transferred.
 */
import type { Worker } from "node:worker_threads";
import { NijimiError, type ErrorCode } from "../errors.ts";
import { startWorker } from "../internal/worker.node.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { SerialisedModel, Session, SessionSettings } from "./engine.ts";

/** What the worker is asked. */
export type WorkerRequest =
  | {
      readonly id: number;
      readonly kind: "load";
      readonly model: SerialisedModel;
      readonly settings: SessionSettings;
    }
  | {
      readonly id: number;
      readonly kind: "run";
      readonly feeds: Readonly<Record<string, Tensor>>;
      readonly outputs?: readonly string[];
    }
  | { readonly id: number; readonly kind: "dispose" };

/** What it answers. */
export type WorkerReply =
  | { readonly id: number; readonly results: Record<string, Tensor> }
  | { readonly id: number; readonly error: { readonly code: ErrorCode; readonly message: string } };

type Unnumbered<Request> = Request extends unknown ? Omit<Request, "id"> : never;

/** Starts a thread and loads the model in it. */
export async function startWorkerSession(
  model: SerialisedModel,
  settings: SessionSettings,
): Promise<Session> {
  const worker = startWorker("./node-worker", import.meta.url);
  const ask = channel(worker);
  try {
    await ask({ kind: "load", model, settings });
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  return {
    run: (feeds, outputs) => ask({ kind: "run", feeds, outputs }),
    async dispose() {
      await ask({ kind: "dispose" });
      await worker.terminate();
    },
  };
}

/** Numbered questions and answers over the worker's port; a thread that dies answers all that is open. */
function channel(
  worker: Worker,
): (request: Unnumbered<WorkerRequest>) => Promise<Record<string, Tensor>> {
  const open = new Map<
    number,
    { resolve(results: Record<string, Tensor>): void; reject(error: unknown): void }
  >();
  let next = 0;
  const fail = (error: NijimiError): void => {
    for (const { reject } of open.values()) reject(error);
    open.clear();
  };
  worker.on("message", (reply: WorkerReply) => {
    const waiting = open.get(reply.id);
    open.delete(reply.id);
    if ("error" in reply) waiting?.reject(new NijimiError(reply.error.code, reply.error.message));
    else waiting?.resolve(reply.results);
    if (open.size === 0) worker.unref();
  });
  worker.on("error", (cause) =>
    fail(new NijimiError("runtime", `The session's thread failed: ${cause.message}`, { cause })),
  );
  worker.on("exit", (code) =>
    fail(new NijimiError("runtime", `The session's thread ended with code ${code}.`)),
  );
  return (request) =>
    new Promise((resolve, reject) => {
      const id = next++;
      open.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ ...request, id });
    });
}
