/** The thread of a worker session: see `node-worker-session.ts`. */
import { parentPort } from "node:worker_threads";
import { isNijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { loadEngine } from "./node.ts";
import type { Session } from "./engine.ts";
import type { WorkerReply, WorkerRequest } from "./node-worker-session.ts";
import { openSession } from "./session.ts";

let session: Session | undefined;

async function answer(request: WorkerRequest): Promise<Record<string, Tensor>> {
  if (request.kind === "load") {
    session = await openSession(await loadEngine(), request.model, request.settings);
    return {};
  }
  if (request.kind === "run") return (await session?.run(request.feeds, request.outputs)) ?? {};
  await session?.dispose();
  return {};
}

parentPort?.on("message", (request: WorkerRequest) => {
  answer(request).then(
    (results) => {
      const reply: WorkerReply = { id: request.id, results };
      const buffers = new Set(Object.values(results).map(({ data }) => data.buffer));
      parentPort?.postMessage(
        reply,
        [...buffers].filter((buffer) => buffer instanceof ArrayBuffer),
      );
    },
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      const reply: WorkerReply = {
        id: request.id,
        error: { code: isNijimiError(error) ? error.code : "runtime", message },
      };
      parentPort?.postMessage(reply);
    },
  );
});
