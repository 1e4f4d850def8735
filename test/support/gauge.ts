/** A gauge of a server's metrics, by its name; NaN if there is none of that name. */
export async function gauge(metricsAddress: string | undefined, name: string): Promise<number> {
  const response = await fetch(`http://${metricsAddress}/metrics`);
  const line = (await response.text()).split("\n").find((text) => text.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}
