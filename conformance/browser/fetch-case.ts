/** A case read by a web page. Cases that share weights with others are not read here. */
import { parseSafetensors } from "nijimi/checkpoints";
import type { Case, CaseJson } from "../case.ts";
import { parseLenientJson } from "../lenient-json.ts";
import type { CaseAddress } from "./list-cases.ts";

/** The case's JSON, and its tensors once {@link fetchTensors} has got them. */
export async function fetchCase({ id, url }: CaseAddress): Promise<Case> {
  const json = parseLenientJson(await (await get(`${url}.json`)).text()) as CaseJson;
  const unavailable = (): never => {
    throw new Error(`${id}: not available in the browser.`);
  };
  return { id, folder: url, root: "", json, tensors: unavailable, sibling: unavailable };
}

/** The same case with its tensors. */
export async function fetchTensors(c: Case): Promise<Case> {
  const bytes = new Uint8Array(await (await get(`${c.folder}.safetensors`)).arrayBuffer());
  const tensors = parseSafetensors(bytes, c.id);
  return { ...c, tensors: () => tensors };
}

/** @throws Error when the server has no such file */
export async function get(url: string): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
}
