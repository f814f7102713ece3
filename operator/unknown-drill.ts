/** No drill bears that name. */
export class UnknownDrill extends Error {
  constructor(drill: string, known: readonly string[]) {
    super(`no drill ${JSON.stringify(drill.slice(0, 80))}; there are: ${known.join(', ')}`);
    this.name = 'UnknownDrill';
  }
}
