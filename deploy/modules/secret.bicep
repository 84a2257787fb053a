// One secret of a vault that there is.
param vaultName string
param name string

@secure()
param value string

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName

  resource secret 'secrets' = {
    name: name
    properties: { value: value }
  }
}
