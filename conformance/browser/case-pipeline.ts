/** The pipeline of a case, loaded in a web page as from files that a user picked. */
import { filesFolder, writeSafetensors } from "nijimi/checkpoints";
import { loadPipeline, type Pipeline, type PipelineOptions } from "nijimi/pipelines";
import type { Device } from "nijimi/runtime";
import type { Case } from "../case.ts";
import { get } from "./fetch-case.ts";

/** URLs by path below `pipelines/`. */
export type PipelineFiles = Readonly<Record<string, string>>;

/** What decides which pipeline a case needs: cases with equal keys can share one. */
export function pipelineKey({ json }: Case): string {
  const embedding = json["token"] && json.name;
  return JSON.stringify([json.config?.["checkpoint"], json["lora_file"], embedding]);
}

/** Loads the checkpoint of a case with what the case uses beside it. */
export async function pipelineOf(c: Case, device: Device, files: PipelineFiles): Promise<Pipeline> {
  const checkpoint = String(c.json.config?.["checkpoint"]).replace(/^pipelines\//, "");
  const family = checkpoint.slice(0, checkpoint.indexOf("/"));
  const folder = await fetchFolder(files, checkpoint);
  if (folder) return loadPipeline(folder, { device, ...(await optionsOf(c, family, files)) });
  const architecture = (await get(files[`${family}/architecture.json`])).json() as Promise<object>;
  return loadPipeline(await fetchFile(files, checkpoint), {
    device,
    architecture: (await architecture) as never,
    tokenizers: await tokenizersOf(family, files),
    ...(await optionsOf(c, family, files)),
  });
}

async function optionsOf(c: Case, family: string, files: PipelineFiles): Promise<PipelineOptions> {
  const { lora_file: lora, token } = c.json as {
    readonly lora_file?: string;
    readonly token?: string;
  };
  const embedding = c.tensors()["in.embedding"];
  const control = await fetchFolder(files, `${family}/controlnet`);
  return {
    ...(lora !== undefined && {
      loras: { lora: await fetchFile(files, lora.replace(/^pipelines\//, "")) },
    }),
    ...(token !== undefined &&
      embedding && { embeddings: { [token]: writeSafetensors({ emb_params: embedding }) } }),
    ...(control && { controlNets: { control } }),
  };
}

async function tokenizersOf(
  family: string,
  files: PipelineFiles,
): Promise<PipelineOptions["tokenizers"]> {
  const tokenizers: Record<string, ReturnType<typeof filesFolder>> = {};
  for (const name of ["tokenizer", "tokenizer_2"]) {
    const folder = await fetchFolder(files, `${family}/diffusers/${name}`);
    if (folder) tokenizers[name] = folder;
  }
  return tokenizers;
}

/** The files below a path; undefined when there are none. */
async function fetchFolder(files: PipelineFiles, path: string) {
  const inside = Object.keys(files).filter((name) => name.startsWith(`${path}/`));
  if (inside.length === 0) return undefined;
  const blobs = await Promise.all(inside.map(async (name) => (await get(files[name])).blob()));
  return filesFolder(
    new Map(inside.map((name, i) => [name.slice(path.length + 1), blobs[i]])),
    path,
  );
}

async function fetchFile(files: PipelineFiles, path: string): Promise<File> {
  return new File([await (await get(files[path])).blob()], path);
}
