// The secrets. The apps may read them and nothing else; whoever deploys writes those that are given.
param name string
param location string
param tags object
param principalId string

@description('Values by the names of their secrets. An empty one is left as it is.')
@secure()
param secrets object

var secretsUser = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '4633458b-17de-408a-b874-0445c86b69e6'
)

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    // The database's password is handed from here to the deployment of the database.
    enabledForTemplateDeployment: true
  }
}

@batchSize(1)
module secret 'secret.bicep' = [
  for name in ['jwt-secret', 'jwt-secret-previous', 'mongodb-uri', 'mail-url', 'database-password']: if (!empty(secrets[name])) {
    name: 'secret-${name}'
    params: {
      vaultName: vault.name
      name: name
      value: secrets[name]
    }
  }
]

resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsUser)
  scope: vault
  properties: {
    roleDefinitionId: secretsUser
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

output name string = vault.name
