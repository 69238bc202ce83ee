/**
 * Loaded into a process of the simulation: certificates there are texts that state their facts, and keys are names, so that a seed takes
 * milliseconds. Only how a certificate is encoded and decoded is replaced; all that is judged, planned and reduced is production's.
 */
import {registerHooks} from 'node:module'

const rooms = {'/src/lib/pki/assemble.ts': './assemble.ts', '/src/lib/pki/fields.ts': './fields.ts'}

registerHooks({
  resolve(specifier, context, next) {
    // What pem.ts decodes is a class of node:crypto.
    if (specifier === 'node:crypto' && context.parentURL?.endsWith('/src/lib/pki/pem.ts') === true)
      return next(new URL('./certificate.ts', import.meta.url).href, context)
    const found = next(specifier, context)
    const replaced = Object.entries(rooms).find(([file]) => found.url.endsWith(file))
    return replaced === undefined ? found : next(new URL(replaced[1], import.meta.url).href, context)
  },
})
