// A function app on Flex Consumption, with its plan: Flex Consumption takes one app a plan.
param name string
param location string
param tags object
param identityId string
param identityClientId string
param storageName string
param storageBlobEndpoint string
param applicationInsightsConnectionString string
param gatewayNetworks string[]
param instanceMemoryMB int
param maximumInstances int
param alwaysReadyInstances int
param vaultName string

@description('Names of settings, and of the secrets in the vault that are their values.')
param vaultSettings object

@description('Settings and their values.')
param settings object

// How many requests an instance may have before another one is started. Those that wait for news cost it next to nothing,
// and the platform's own number (16 with 2 GB) would start an instance for every 16 people who wait.
var requestsPerInstance = 500

var host = {
  AzureWebJobsStorage__accountName: storageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}
var secrets = mapValues(vaultSettings, secret => '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${secret})')

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { tier: 'FlexConsumption', name: 'FC1' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    functionAppConfig: {
      runtime: { name: 'custom', version: '1.0' }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storageBlobEndpoint}${name}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReadyInstances == 0 ? [] : [{ name: 'http', instanceCount: alwaysReadyInstances }]
        triggers: { http: { perInstanceConcurrency: requestsPerInstance } }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      // The program answers preflights itself (CORS_ORIGINS): the platform's own list would let pages read fewer headers.
      cors: { allowedOrigins: [] }
      ipSecurityRestrictionsDefaultAction: empty(gatewayNetworks) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: [
        for (network, index) in gatewayNetworks: {
          name: 'gateway-${index}'
          priority: 100 + index
          action: 'Allow'
          ipAddress: network
        }
      ]
      appSettings: [for setting in items(union(host, settings, secrets)): { name: setting.key, value: setting.value }]
    }
  }
}
