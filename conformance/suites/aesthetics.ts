/**
 * LAION's aesthetic heads: stored weights, or the released files and anchor embeddings where a `data/` folder beside
 * the cases (or above them) has them. Heads whose file is not there are left out.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { openCheckpoint, parseNpy, readAll } from "nijimi/checkpoints";
import { gradients, spec, sum } from "nijimi/graph";
import { aestheticHead, aestheticHeadConfig, unitEmbedding } from "nijimi/models";
import { parameterScope } from "nijimi/nn";
import { compile, type Device } from "nijimi/runtime";
import { float32, type Tensor } from "nijimi/tensor";
import type { Case, Comparison, RunContext, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";
import { below } from "./run-layer.ts";

type Parameters = Readonly<Record<string, Tensor>>;

/** Folder of the released heads, below `data/`. */
const HEADS = "laion-aesthetics";

export const suite: Suite = {
  kind: "aesthetics",
  accepts: (c) =>
    hasStoredHead(c) || ((hasFiles(c) || hasAnchors(c)) && dataFolder(c) !== undefined),
  run: (c, context) => {
    if (hasStoredHead(c)) return storedHead(c, context);
    return hasFiles(c) ? releasedHeads(c, context) : anchors(c, context);
  },
};

function hasStoredHead({ json }: Case): boolean {
  const names = Object.keys(json.tensors ?? {});
  return (
    json.section === "metrics" && names.includes("in.embedding") && names.includes("out.score")
  );
}

function hasFiles({ json }: Case): boolean {
  return json.section === "laion" && json.config?.files_sha256 !== undefined;
}

function hasAnchors({ json }: Case): boolean {
  return typeof json.expected === "object" && /rating\{i\}/.test(String(json.files));
}

/** `data/laion-aesthetics` beside the cases or in a folder above them. */
function dataFolder({ root }: Case): string | undefined {
  return ["..", "../..", "../../.."]
    .map((up) => path.join(root, up, "data", HEADS))
    .find((folder) => existsSync(folder));
}

/** Scores of embeddings, and gradients of their sum. */
async function runHead(
  parameters: Parameters,
  embeddings: Tensor,
  { device }: RunContext,
  { normalise }: { readonly normalise: boolean },
): Promise<{ readonly score: Tensor; readonly gradient: Tensor }> {
  const head = aestheticHead(aestheticHeadConfig(parameters));
  const run = await compile(
    ({ x }) => {
      const score = head.apply(parameterScope(), "", normalise ? unitEmbedding(x) : x);
      return { score, gradient: gradients(sum(score), [x])[0] };
    },
    { x: spec("float32", embeddings.shape) },
    { device: device as Device, parameters },
  );
  const results = await run({ x: embeddings });
  await run.dispose();
  return results;
}

async function storedHead(c: Case, context: RunContext): Promise<Comparison[]> {
  const tensors = c.tensors();
  const { score } = await runHead(below(tensors, "w."), tensors["in.embedding"], context, {
    normalise: true,
  });
  return [compareTensors("out.score", score, tensors["out.score"], c.json.tolerance)];
}

async function releasedHeads(c: Case, context: RunContext): Promise<Comparison[]> {
  const tensors = c.tensors();
  const compared: Comparison[] = [];
  for (const file of Object.keys(c.json.config!.files_sha256 as object)) {
    const name = file.replace(/\.pth$/, "");
    const parameters = await readHead(c, file);
    if (parameters === undefined) continue;
    const width = aestheticHeadConfig(parameters).widths[0];
    const compare = (key: string, got: Tensor): void => {
      if (tensors[key] !== undefined)
        compared.push(compareTensors(key, got, tensors[key], c.json.tolerance));
    };
    const unit = await runHead(parameters, tensors[`in.emb${width}`], context, {
      normalise: false,
    });
    compare(`out.${name}`, unit.score);
    compare(`grad.emb.${name}`, unit.gradient);
    const raw = tensors[`in.raw${width}`];
    if (raw !== undefined)
      compare(
        `out.from_raw.${name}`,
        (await runHead(parameters, raw, context, { normalise: true })).score,
      );
  }
  return compared;
}

async function anchors(c: Case, context: RunContext): Promise<Comparison[]> {
  const compared: Comparison[] = [];
  for (const [file, scores] of Object.entries(c.json.expected as Record<string, number[]>)) {
    const parameters = await readHead(c, file);
    if (parameters === undefined) continue;
    const folder = `${/vit_[bl]_\d+/.exec(file)![0]}_embeddings`;
    const embeddings = scores.flatMap((_, i) => {
      const bytes = readFileSync(path.join(dataFolder(c)!, folder, `rating${i}.npy`));
      return [...(parseNpy(bytes).data as Float32Array)];
    });
    const input = float32([scores.length, embeddings.length / scores.length], embeddings);
    const { score } = await runHead(parameters, input, context, { normalise: false });
    compared.push(
      compareTensors(file, score, float32([scores.length, 1], scores), c.json.tolerance),
    );
  }
  return compared;
}

async function readHead(c: Case, file: string): Promise<Parameters | undefined> {
  const full = path.join(dataFolder(c)!, file);
  if (!existsSync(full)) return undefined;
  const checkpoint = await openCheckpoint(full);
  try {
    return await readAll(checkpoint.entries);
  } finally {
    await checkpoint.close();
  }
}
