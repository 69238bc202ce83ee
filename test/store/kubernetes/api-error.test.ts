/** What an error of the API server says about an object that is too large. */
import {expect} from 'chai'
import {apiErrorOf} from '../../../src/lib/store/kubernetes/api-error.js'

describe('store/kubernetes: an object that is too large', () => {
  const info = {verb: 'patch', resource: 'configmaps', group: '', namespace: 'atlas', name: 'atlas-coredns'} as const

  it('is named, with the limit, as kube-apiserver refuses a ConfigMap above 1 MiB', () => {
    const causes = [{reason: 'FieldValueTooLong', message: 'Too long: must have at most 1048576 bytes', field: '[]'}]
    const body = {kind: 'Status', code: 422, reason: 'Invalid', details: {name: 'atlas-coredns', kind: 'ConfigMap', causes}}
    const error = apiErrorOf({code: 422, body}, info, 'context obs')
    expect(error.message).to.contain('"atlas-coredns"').and.to.contain('1 MiB (1048576 bytes)')
    expect(error.hint).to.contain('its last complete version stays')
  })

  it('is named where the request itself is too large', () => {
    const error = apiErrorOf({code: 413, body: {}}, info, 'context obs')
    expect(error.message).to.contain('"atlas-coredns"')
    expect(error.hint).to.contain('its last complete version stays')
  })
})
