/** The page's elements, by id. */

/** @throws Error when `index.html` has no such element */
export function element<Name extends keyof HTMLElementTagNameMap>(
  tag: Name,
  id: string,
): HTMLElementTagNameMap[Name] {
  const found = document.querySelector<HTMLElementTagNameMap[Name]>(`${tag}#${id}`);
  if (found === null) throw new Error(`index.html has no <${tag} id="${id}">`);
  return found;
}

/** Says in the page what went wrong; cancelling is no news. */
export function report(error: unknown): void {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  if (code === "cancelled") return;
  const alert = element("p", "error");
  alert.textContent = message ?? String(error);
  alert.hidden = false;
}

/** Takes the last error away. */
export function clearError(): void {
  element("p", "error").hidden = true;
}
