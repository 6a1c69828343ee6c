/** A bar with a line of text that says how far something is and how long it will take. */

/** Time left, from how long the latest part took; nothing until two moments are known. */
export function timeLeft() {
  const moments: { readonly time: number; readonly done: number }[] = [];
  return (done: number, total: number, time = performance.now()): string => {
    moments.push({ time, done });
    if (moments.length > 8) moments.shift();
    const [first] = moments;
    if (done <= first.done || !Number.isFinite(total)) return "";
    const seconds = ((total - done) * (time - first.time)) / (done - first.done) / 1000;
    return done >= total ? "" : `, about ${showSeconds(seconds)} left`;
  };
}

function showSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** Shows and hides one of the page's progress blocks. */
export function progressBar(block: HTMLElement) {
  const bar = block.querySelector("progress") as HTMLProgressElement;
  const text = block.querySelector("output") as HTMLOutputElement;
  return {
    show(message: string, share?: number): void {
      block.hidden = false;
      text.value = message;
      if (share === undefined) bar.removeAttribute("value");
      else bar.value = share;
    },
    hide(): void {
      block.hidden = true;
    },
  };
}
